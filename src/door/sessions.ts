import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { readAtScrape, type Family } from '../base/metrics.ts';
import type { SessionRule } from '../scheduler/plugin.ts';

/** Sessions remembered by an id of the client's; about 150 bytes each. */
const mostSessions = 50_000;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

interface Options {
  /** Of the tokens' hashes. */
  readonly key: Buffer;
  readonly clock: Clock;
  /** What the policy in force says of sessions; null where it does not care. */
  readonly rule: () => SessionRule | null;
}

/**
 * Which endpoint a session belongs to. Either the client brings the token that its last answer had, the endpoint's name
 * and a keyed hash of it: `base64url(name).base64url(HMAC-SHA256(key, name))`, so that it can come back to its endpoint but
 * cannot name one itself. Or it brings an id of its own, and the endpoint is remembered here for a while.
 */
export class Sessions {
  readonly #options: Options;
  /** By a hash of the id, the longest unused first. */
  readonly #byId = new Map<string, { readonly endpoint: string; readonly seenMs: number }>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** How many ids are remembered. */
  get size(): number {
    return this.#byId.size;
  }

  families(): Family[] {
    return [
      readAtScrape(['signalbox_sessions'], 'Sessions remembered by an id that the client brings.', () => [
        { labels: {}, value: this.size },
      ]),
    ];
  }

  /** The endpoint that served the session before; null without a session, or when it is not one of ours. */
  endpointOf(headers: Headers): string | null {
    const rule = this.#options.rule();
    if (rule === null || rule.by === 'token') {
      const token = headers['x-session-token'];
      return typeof token === 'string' ? this.#named(token) : null;
    }
    const id = idIn(headers, rule.headers);
    const known = id === null ? undefined : this.#byId.get(id);
    if (known === undefined) return null;
    return this.#options.clock.nowMs() - known.seenMs <= rule.ttlSeconds * 1000 ? known.endpoint : null;
  }

  /** An endpoint answers a request with these headers: what is to be said to the client, so that it can come back. */
  answered(headers: Headers, endpoint: string): Record<string, string> {
    const rule = this.#options.rule();
    if (rule === null) return {};
    if (rule.by === 'token') return { 'x-session-token': this.#tokenFor(endpoint) };
    const id = idIn(headers, rule.headers);
    if (id !== null) this.#remember(id, endpoint, rule.ttlSeconds * 1000);
    return {};
  }

  #remember(id: string, endpoint: string, ttlMs: number): void {
    const seenMs = this.#options.clock.nowMs();
    this.#byId.delete(id);
    this.#byId.set(id, { endpoint, seenMs });
    for (const [oldest, session] of this.#byId) {
      if (this.#byId.size <= mostSessions && seenMs - session.seenMs <= ttlMs) break;
      this.#byId.delete(oldest);
    }
  }

  #tokenFor(endpoint: string): string {
    return `${Buffer.from(endpoint).toString('base64url')}.${this.#mac(endpoint).toString('base64url')}`;
  }

  #named(token: string): string | null {
    const [name, mac] = token.split('.');
    if (name === undefined || mac === undefined) return null;
    const endpoint = Buffer.from(name, 'base64url').toString();
    const given = Buffer.from(mac, 'base64url');
    const right = this.#mac(endpoint);
    return given.length === right.length && timingSafeEqual(given, right) ? endpoint : null;
  }

  #mac(endpoint: string): Buffer {
    return createHmac('sha256', this.#options.key).update(endpoint).digest();
  }
}

/** Hashed, so that an id of any length takes the same room, and is nowhere to be read. */
function idIn(headers: Headers, names: readonly string[]): string | null {
  for (const name of names) {
    const id = headers[name];
    if (typeof id === 'string' && id !== '') return createHash('sha256').update(id).digest('base64').slice(0, 22);
  }
  return null;
}
