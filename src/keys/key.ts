import { SignalboxError, type ErrorCode } from '../base/errors.ts';
import { alone, allowance, type Replicas } from './allowance.ts';
import type { Rights } from './key-file.ts';
import type { KeySeats } from './key-seats.ts';
import { Minute } from './minute.ts';

/** What an engine said that an answer took; null where it did not. */
interface TokenReport {
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  readonly completionTokens: number | null;
}

/** How much of each limit is in use. */
export interface Levels {
  requests: number;
  tokens: number;
  inFlight: number;
}

/** An answer is thought to be as long as those before it, which count with these weights. */
const learningShare = 0.1;
const firstGuessTokens = 256;

/** Since the start, for metrics and the admin API. */
export class Usage {
  requests = 0;
  readonly refused = new Map<ErrorCode, number>();
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;
  /** By the clock that everything else is measured by; -Infinity: never. */
  lastUsedMs = -Infinity;
}

/** One who may send requests: an API key, or a subject of an issuer. What it may do, and what it has done. */
export class Key {
  readonly name: string;
  readonly usage = new Usage();
  /** Of the other replicas, as they last told. */
  others: Levels = { requests: 0, tokens: 0, inFlight: 0 };
  /** What the others have been told of this one. */
  told: Levels = { requests: 0, tokens: 0, inFlight: 0 };
  inFlight = 0;
  /** Where other threads of this process keep theirs; -1 without one. */
  seat = -1;
  #rights: Rights;
  #expiresEpochMs: number;
  readonly #requests = new Minute();
  readonly #tokens = new Minute();
  #usualCompletionTokens = firstGuessTokens;

  constructor(name: string, rights: Rights, expiresEpochMs = Infinity) {
    this.name = name;
    this.#rights = rights;
    this.#expiresEpochMs = expiresEpochMs;
  }

  get rights(): Rights {
    return this.#rights;
  }

  get expiresEpochMs(): number {
    return this.#expiresEpochMs;
  }

  /** Other rights; what has been used stays counted. */
  setRights(rights: Rights, expiresEpochMs: number): void {
    this.#rights = rights;
    this.#expiresEpochMs = expiresEpochMs;
  }

  /** What is in use here. */
  levels(nowMs: number): Levels {
    return { requests: this.#requests.total(nowMs), tokens: this.#tokens.total(nowMs), inFlight: this.inFlight };
  }

  mayUse(model: string): boolean {
    return this.#rights.models?.includes(model) ?? true;
  }

  /** Counts a request in. @throws SignalboxError `rate_limited` */
  begin(nowMs: number, replicas: Replicas = alone, seats: KeySeats | null = null): KeyUse {
    const { maxConcurrent, requestsPerMinute } = this.#rights;
    if (maxConcurrent !== undefined && this.#left(maxConcurrent, this.inFlight, 'inFlight', replicas, nowMs) < 1) {
      throw this.#limited(`has its ${maxConcurrent} requests at once under way`, 1);
    }
    if (requestsPerMinute !== undefined) {
      const own = this.#requests.total(nowMs);
      if (this.#left(requestsPerMinute, own, 'requests', replicas, nowMs) < 1) {
        const seconds = this.#requests.secondsUntilLess(1, nowMs);
        throw this.#limited(`has sent its ${requestsPerMinute} requests of this minute`, seconds);
      }
    }
    this.inFlight += 1;
    this.usage.requests += 1;
    this.usage.lastUsedMs = nowMs;
    this.#requests.add(nowMs, 1);
    return new KeyUse(this, replicas, seats);
  }

  /** Counts the tokens that a request is thought to take. @throws SignalboxError `rate_limited` */
  reserve(promptTokens: number, maxOutputTokens: number | null, nowMs: number, replicas: Replicas): Reservation {
    const output = Math.min(maxOutputTokens ?? Infinity, Math.round(this.#usualCompletionTokens));
    const tokens = promptTokens + output;
    const limit = this.#rights.tokensPerMinute;
    if (limit !== undefined) {
      const left = this.#left(limit, this.#tokens.total(nowMs), 'tokens', replicas, nowMs);
      if (promptTokens > limit) {
        throw this.#limited(`may use ${limit} tokens a minute, and this prompt alone has about ${promptTokens}`, 60);
      }
      // A request that is larger than what may ever be free waits until nothing else is counted.
      if (left < Math.min(tokens, limit / replicas.count)) {
        const seconds = this.#tokens.secondsUntilLess(tokens - left, nowMs);
        throw this.#limited(`has used its ${limit} tokens of this minute, as far as they go for this request`, seconds);
      }
    }
    return { tokens, halfSecond: this.#tokens.add(nowMs, tokens) };
  }

  /** Nothing was asked of an engine: the tokens are free again. */
  takeBack({ tokens, halfSecond }: Reservation, nowMs: number): void {
    this.#tokens.correct(halfSecond, -tokens, nowMs);
  }

  /** What the request took in truth. */
  report(reservation: Reservation, report: TokenReport, nowMs: number): void {
    const { promptTokens, cachedTokens, completionTokens } = report;
    this.usage.promptTokens += promptTokens ?? 0;
    this.usage.cachedTokens += cachedTokens ?? 0;
    this.usage.completionTokens += completionTokens ?? 0;
    if (completionTokens !== null) {
      this.#usualCompletionTokens += learningShare * (completionTokens - this.#usualCompletionTokens);
    }
    if (promptTokens === null) return;
    const difference = promptTokens + (completionTokens ?? 0) - reservation.tokens;
    this.#tokens.correct(reservation.halfSecond, difference, nowMs);
  }

  refuse(code: ErrorCode): void {
    this.usage.refused.set(code, (this.usage.refused.get(code) ?? 0) + 1);
  }

  #left(limit: number, own: number, what: keyof Levels, replicas: Replicas, nowMs: number): number {
    // Nearly always nobody shares.
    if (replicas.count === 1) return limit - own - this.others[what];
    // What has left the minute since it was told is no longer in use.
    return allowance(limit, { own, told: Math.min(own, this.told[what]), others: this.others[what] }, replicas, nowMs);
  }

  #limited(what: string, seconds: number): SignalboxError {
    this.refuse('rate_limited');
    const retryAfterSeconds = Math.max(1, seconds);
    return new SignalboxError('rate_limited', `The key "${this.name}" ${what}.`, { retryAfterSeconds });
  }
}

interface Reservation {
  readonly tokens: number;
  readonly halfSecond: number;
}

/** One request under a key, from its arrival to its end. */
export class KeyUse {
  readonly key: Key;
  readonly #replicas: Replicas;
  readonly #seats: KeySeats | null;
  #reservation: Reservation | null = null;
  #isOver = false;

  constructor(key: Key, replicas: Replicas, seats: KeySeats | null) {
    this.key = key;
    this.#seats = seats;
    this.#replicas = replicas;
  }

  /** Its body was read. @throws SignalboxError `forbidden` for a model that is not for this key, or `rate_limited`. */
  ask(model: string, promptTokens: number, maxOutputTokens: number | null, nowMs: number): void {
    const { key } = this;
    if (!key.mayUse(model)) {
      key.refuse('forbidden');
      const shown = model === '' ? 'requests that name no model' : `the model "${model.slice(0, 200)}"`;
      const param = { param: 'model' };
      throw new SignalboxError('forbidden', `The key "${key.name}" is not for ${shown}.`, param);
    }
    const reserve = (): Reservation => key.reserve(promptTokens, maxOutputTokens, nowMs, this.#replicas);
    this.#reservation = this.#seats === null ? reserve() : this.#seats.exclusively(key, reserve);
  }

  /** It has ended at an engine, well or not. */
  answered(report: TokenReport, nowMs: number): void {
    if (this.#reservation !== null) this.key.report(this.#reservation, report, nowMs);
    this.ended();
  }

  /** It was not placed. That it was sent stays counted. */
  refused(nowMs: number): void {
    if (this.#reservation !== null) this.key.takeBack(this.#reservation, nowMs);
    this.#reservation = null;
    this.ended();
  }

  /** It is over, however it ended. */
  ended(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.key.inFlight -= 1;
    this.#seats?.tell(this.key);
  }
}
