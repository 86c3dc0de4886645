import { hash } from 'node:crypto';
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { messageOf, SignalboxError } from '../base/errors.ts';
import type { Issuer } from './key-file.ts';

/** Who a token speaks for. */
interface Subject {
  readonly name: string;
  readonly issuer: Issuer;
  readonly expiresEpochMs: number;
}

/** Tokens are sent with every request: what was found out about one holds until it expires. */
const remembered = 10_000;
const discoveryTimeoutMs = 5000;
const clockToleranceSeconds = 30;
/** Neither `none` nor a shared secret: whoever can check a token must not be able to make one. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** Checks JSON web tokens (RFC 7519) against the keys that their issuers publish. */
export class JsonWebTokens {
  readonly #issuers: readonly Issuer[];
  readonly #keys = new Map<string, Promise<JWTVerifyGetKey>>();
  readonly #known = new Map<string, Subject>();

  constructor(issuers: readonly Issuer[]) {
    this.#issuers = issuers;
  }

  /** What is known of a token that was checked before; null when it has to be checked. */
  known(token: string, epochMs: number): Subject | null {
    const subject = this.#known.get(hash('sha256', token, 'base64url'));
    return subject !== undefined && epochMs < subject.expiresEpochMs ? subject : null;
  }

  /** @throws SignalboxError `unauthorized`, or `internal` when the issuer's keys cannot be had. */
  async check(token: string): Promise<Subject> {
    const issuer = this.#issuers.find((each) => each.issuer === issuerOf(token));
    if (issuer === undefined) throw refused('it comes from none of the issuers that are taken here');
    const keys = await this.#keysOf(issuer);
    const { payload } = await jwtVerify(token, keys, {
      issuer: issuer.issuer,
      audience: issuer.audience,
      algorithms,
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['exp'],
    }).catch((error: unknown) => {
      if (error instanceof errors.JWTExpired) throw refused('it has expired');
      if (error instanceof errors.JWTClaimValidationFailed) throw refused(`its "${error.claim}" is not accepted here`);
      if (error instanceof errors.JWKSTimeout) throw unreachable(issuer, error);
      if (error instanceof errors.JOSEError) throw refused('its signature or form is not valid');
      throw unreachable(issuer, error);
    });
    const name = payload[issuer.nameClaim];
    if (typeof name !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(name)) {
      throw refused(`it has no "${issuer.nameClaim}" that could name somebody`);
    }
    const subject = { name, issuer, expiresEpochMs: payload.exp! * 1000 };
    this.#known.set(hash('sha256', token, 'base64url'), subject);
    if (this.#known.size > remembered) this.#known.delete(this.#known.keys().next().value!);
    return subject;
  }

  #keysOf(issuer: Issuer): Promise<JWTVerifyGetKey> {
    let keys = this.#keys.get(issuer.issuer);
    if (keys === undefined) {
      keys = keySet(issuer);
      this.#keys.set(issuer.issuer, keys);
      // What could not be had is asked for again by the next token.
      keys.catch(() => this.#keys.delete(issuer.issuer));
    }
    return keys;
  }
}

async function keySet(issuer: Issuer): Promise<JWTVerifyGetKey> {
  const at = issuer.jwks ?? (await discovered(issuer));
  // Redirects could lead anywhere; an issuer says where its keys are.
  return createRemoteJWKSet(new URL(at), {
    [customFetch]: (url, init) => fetch(url, { ...init, redirect: 'error' }),
  });
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discovered(issuer: Issuer): Promise<string> {
  try {
    const url = `${issuer.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(discoveryTimeoutMs), redirect: 'error' });
    const { jwks_uri: at } = (await answer.json()) as { jwks_uri?: unknown };
    if (typeof at !== 'string') throw new Error('it names no jwks_uri');
    return at;
  } catch (error) {
    throw unreachable(issuer, error);
  }
}

/** What a token says of its issuer, before anything of it is believed. */
function issuerOf(token: string): unknown {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return (payload as { iss?: unknown } | null)?.iss;
  } catch {
    return undefined;
  }
}

function refused(why: string): SignalboxError {
  return new SignalboxError('unauthorized', `The token is not accepted: ${why}.`);
}

function unreachable({ issuer }: Issuer, error: unknown): SignalboxError {
  const message = `The keys of ${issuer} cannot be had now: ${messageOf(error)}.`;
  return new SignalboxError('no_endpoint', message, { retryAfterSeconds: 5, cause: error });
}
