import type { Clock } from '../base/clock.ts';
import { SignalboxError } from '../base/errors.ts';
import { alone, type Replicas } from './allowance.ts';
import { Key, type KeyUse } from './key.ts';
import { KeySeats, type KeysMemory } from './key-seats.ts';
import type { Issuer, KeyFile } from './key-file.ts';
import type { JsonWebTokens } from './json-web-tokens.ts';
import { digestIn, digestOf } from './secret.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Subjects of issuers whose use is remembered: those that used nothing for longest go first. */
const rememberedSubjects = 10_000;
/** A header has at most as much; a longer one is no key of ours. */
const longestKey = 4096;

/** Who may send requests, and what they have used. */
export class Keys {
  readonly #clock: Clock;
  #byDigest: ReadonlyMap<string, Key> = new Map();
  #byName: ReadonlyMap<string, Key> = new Map();
  readonly #subjects = new Map<string, Key>();
  #tokens: JsonWebTokens | null = null;
  #touched = new Set<Key>();
  /** Called when a key is used, where others are told of it. */
  onUse: (() => void) | null = null;
  /** How many gateways share the keys' limits. */
  replicas: Replicas = alone;
  readonly #threads: Replicas;

  readonly #seats: KeySeats | null;

  /** `shared`: with which threads, as one of `replicas`, it serves the same keys. */
  constructor(clock: Clock, shared: { readonly memory: KeysMemory; readonly threads: Replicas } | null = null) {
    this.#clock = clock;
    this.#threads = shared?.threads ?? alone;
    this.#seats = shared === null ? null : new KeySeats(shared.memory, shared.threads.rank, clock);
  }

  /** From now on these hold. What was used under names that stay is kept. */
  async replace(file: KeyFile): Promise<void> {
    const tokens = file.issuers.length === 0 ? null : await loadTokens(file.issuers);
    const byName = new Map<string, Key>();
    const byDigest = new Map<string, Key>();
    for (const { name, hash, expires, ...rights } of file.keys) {
      const expiresEpochMs = expires === undefined ? Infinity : Date.parse(expires);
      const key = this.#byName.get(name) ?? new Key(name, rights);
      key.setRights(rights, expiresEpochMs);
      byName.set(name, key);
      for (const each of [hash].flat()) byDigest.set(digestIn(each), key);
    }
    this.#byName = byName;
    this.#byDigest = byDigest;
    this.#tokens = tokens;
  }

  /** All that are known, in the order of the file, then subjects of issuers. */
  *all(): Iterable<Key> {
    yield* this.#byName.values();
    yield* this.#subjects.values();
  }

  named(name: string): Key | null {
    return this.#byName.get(name) ?? this.#subjects.get(name) ?? null;
  }

  /**
   * Counts a request in under the key that it brings, at once or, for a token that was not seen before, when that has
   * been checked. `refused` hears `unauthorized` or `rate_limited`.
   */
  begin(headers: Headers, goOn: (use: KeyUse) => void, refused: (error: unknown) => void): void {
    let key: Key | Promise<Key>;
    try {
      key = this.identify(headers);
      if (key instanceof Key) return goOn(this.#begin(key));
    } catch (error) {
      return refused(error);
    }
    key.then((found) => goOn(this.#begin(found))).catch(refused);
  }

  /** Whose key or token a request brings. @throws SignalboxError `unauthorized` */
  identify(headers: Headers): Key | Promise<Key> {
    const presented = presentedBy(headers);
    if (presented === null) {
      throw new SignalboxError('unauthorized', 'An API key is needed, as "Authorization: Bearer KEY".');
    }
    const key = this.#byDigest.get(digestOf(presented));
    if (key !== undefined) {
      if (key.expiresEpochMs === Infinity || this.#clock.epochMs() < key.expiresEpochMs) return key;
      throw new SignalboxError('unauthorized', `The key "${key.name}" has expired.`);
    }
    const tokens = this.#tokens;
    if (tokens === null || presented.split('.').length !== 3) {
      throw new SignalboxError('unauthorized', 'The API key is not known here.');
    }
    const known = tokens.known(presented, this.#clock.epochMs());
    if (known !== null) return this.#subject(known);
    return tokens.check(presented).then((subject) => this.#subject(subject));
  }

  /** To be called now and then where threads share: what was used a minute ago is free again. */
  tellAgain(): void {
    this.#seats?.tellAgain();
  }

  /** Has each key know what other threads have in use of it. */
  lookAtOthers(): void {
    if (this.#seats === null) return;
    for (const key of this.all()) if (key.seat >= 0) key.others = this.#seats.others(key.seat);
  }

  /** Keys used since it was asked last. */
  takeTouched(): ReadonlySet<Key> {
    const touched = this.#touched;
    this.#touched = new Set();
    return touched;
  }

  #begin(key: Key): KeyUse {
    if (this.onUse !== null) {
      this.#touched.add(key);
      this.onUse();
    }
    const nowMs = this.#clock.nowMs();
    const seats = this.#seats;
    if (seats === null) return key.begin(nowMs, this.replicas);
    if (key.seat < 0) key.seat = seats.seatOf(key.name);
    return key.seat < 0
      ? key.begin(nowMs, this.#threads)
      : seats.exclusively(key, () => key.begin(nowMs, alone, seats));
  }

  #subject({ name, issuer }: { readonly name: string; readonly issuer: Issuer }): Key {
    // Never the name of a key: subjects are told apart by who vouches for them.
    const id = `${name} ${issuer.issuer}`;
    let key = this.#subjects.get(id);
    if (key === undefined) {
      key = new Key(id, issuer);
      for (const [other, { inFlight }] of this.#subjects) {
        if (this.#subjects.size < rememberedSubjects) break;
        if (inFlight === 0) this.#subjects.delete(other);
      }
    } else this.#subjects.delete(id);
    key.setRights(issuer, Infinity);
    this.#subjects.set(id, key);
    return key;
  }
}

/** Loaded only where tokens are taken. */
async function loadTokens(issuers: readonly Issuer[]): Promise<JsonWebTokens> {
  const { JsonWebTokens: Tokens } = await import('./json-web-tokens.ts');
  return new Tokens(issuers);
}

/** As clients of OpenAI send it, of Anthropic or of Azure. */
function presentedBy(headers: Headers): string | null {
  const { authorization } = headers;
  const value =
    typeof authorization === 'string' && /^bearer /i.test(authorization)
      ? authorization.slice(7).trim()
      : (headers['x-api-key'] ?? headers['api-key']);
  return typeof value === 'string' && value !== '' && value.length <= longestKey ? value : null;
}
