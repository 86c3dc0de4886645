import { DrainRate } from '../admission/drain-rate.ts';
import { FlowQueue, type Ahead } from '../admission/flow-queue.ts';
import type { Asking } from '../admission/held.ts';
import type { Shortage } from '../admission/saturation.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { HoldRule } from '../scheduler/flow-rule.ts';
import type { Caller } from '../scheduler/request.ts';

/** Why a request is not placed yet. */
export interface Wait extends Omit<Shortage, 'what'> {
  readonly what: Shortage['what'] | 'endpoint';
  /** What it is going to bring to the slot, -1 being none. */
  readonly prefillSeconds: number;
  readonly kvTokens: number;
}

/** Why nobody can be placed. */
export type NonePlaceable = Pick<Shortage, 'what' | 'seconds'>;

/** What an endpoint has less of than before: of prefill alone, or of everything that a request brings. */
export type Freed = 'prefill' | 'all';

/** What held requests further in front are going to bring to a slot. */
export interface Load {
  readonly prefillSeconds: number;
  readonly kvTokens: number;
}

export type Reserved = ReadonlyMap<number, Load>;

/** One that is held. */
interface Waiting<Asked> {
  readonly asked: Asked;
  /** What it waited for when it was tried last; null when it has not been yet. */
  wait: Wait | null;
}

/** The place of one that is held. */
export interface Place {
  readonly asking: Asking;
  /** Gives it up; false when it was left already. */
  cancel(): boolean;
}

interface Handlers<Asked> {
  /** Places it or turns it away, which ends its waiting, or says what it has to wait for. */
  tryToPlace(asked: Asked, arrivedAtMs: number, reserved: Reserved): Wait | null;
  /** None of them can be placed now: for want of what, and until another look makes sense. Null when some may be. */
  nonePlaceable(bands: FlowQueue<Waiting<Asked>>['bands'], reserved: Reserved): NonePlaceable | null;
  /** It has waited for as long as it may. */
  expired(asked: Asked, waitedSeconds: number): void;
  /** Its first token cannot come in time any more. */
  missed(asked: Asked, waitedSeconds: number): void;
  /** It had to make room for a higher priority. */
  evicted(asked: Asked, waitedSeconds: number): void;
}

const nothing: Load = { prefillSeconds: 0, kvTokens: 0 };
/** How many are tried past one that has to wait: others may suit an endpoint with room. */
const lookAhead = 8;
const shortestWaitMs = 5;
const longestWaitMs = 250;

/**
 * Requests held in the gateway, tried again in their turn whenever an endpoint has less to do, and after the time that
 * its backlog needs to drain. Bounded; whose turn it is, `FlowQueue` says.
 */
export class Holding<Asked> {
  readonly #clock: Clock;
  readonly #handlers: Handlers<Asked>;
  #queue: FlowQueue<Waiting<Asked>>;
  readonly #drainRate = new DrainRate();
  #timer: Timer | null = null;
  #placing = false;
  /** How the queue stood when all that were tried waited for room in a KV cache; null where that is not so. */
  #fullAt: number | null = null;

  constructor(clock: Clock, rule: HoldRule | null, handlers: Handlers<Asked>) {
    this.#clock = clock;
    this.#queue = new FlowQueue(rule ?? letAllThrough);
    this.#handlers = handlers;
  }

  get size(): number {
    return this.#queue.size;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  get bands(): FlowQueue<Waiting<Asked>>['bands'] {
    return this.#queue.bands;
  }

  /** The first `limit`, next first. */
  queue(limit: number): (Waiting<Asked> & Pick<Asking, 'arrivedAtMs'>)[] {
    const pass = this.#queue.pass();
    const first = [];
    for (let held = pass.next(); held !== undefined && first.length < limit; held = pass.next()) {
      first.push({ ...held.item, arrivedAtMs: held.arrivedAtMs });
    }
    return first;
  }

  /** Another rule; those who wait are put in its order. Null lets all of them through. */
  setRule(rule: HoldRule | null): void {
    const old = this.#queue;
    this.#queue = new FlowQueue(rule ?? letAllThrough);
    const pass = old.pass();
    for (let held = pass.next(); held !== undefined; held = pass.next()) {
      const { item, ...asking } = held;
      if (this.#queue.add(item, asking) === null) this.#handlers.evicted(item.asked, 0);
    }
    this.placeHeld();
  }

  /** What waits ahead of a request, and in how many seconds it would be placed (NaN: not known); `guess` as for `DrainRate`. */
  aheadOf(asking: Asking, guess: number): Ahead & { readonly seconds: number } {
    const ahead = this.#queue.aheadOf(asking);
    return { ...ahead, seconds: this.#drainRate.secondsFor(ahead.prefillSeconds, guess) };
  }

  /** Null when there is no room for it to wait. */
  hold(asked: Asked, asking: Asking): Place | null {
    const added = this.#queue.add({ asked, wait: null }, asking);
    const nowMs = this.#clock.nowMs();
    for (const { item, arrivedAtMs } of added?.evicted ?? []) {
      this.#handlers.evicted(item.asked, (nowMs - arrivedAtMs) / 1000);
    }
    if (added === null) return null;
    if (this.#queue.size === 1) this.#drainRate.waiting(true, nowMs);
    return { asking, cancel: () => this.#queue.remove(added.held) };
  }

  /** Counts what a tenant was given, in tokens. */
  charge(caller: Caller, tokens: number): void {
    this.#queue.charge(caller, tokens);
  }

  /**
   * Tries those held in their turn. One that has to wait for an endpoint counts there for those behind it, or they would
   * all wait for the same one while others stand idle.
   */
  placeHeld(freed: Freed = 'all'): void {
    if (this.#placing || this.#queue.size === 0) return;
    // A prompt that has been computed stays in the KV cache.
    if (freed === 'prefill' && this.#fullAt === this.#queue.changes) return;
    this.#placing = true;
    const nowMs = this.#clock.nowMs();
    let soonestSeconds = Infinity;
    try {
      for (const { item, arrivedAtMs } of this.#queue.takeExpired(nowMs)) {
        this.#handlers.expired(item.asked, (nowMs - arrivedAtMs) / 1000);
      }
      for (const { item, arrivedAtMs } of this.#queue.takeMissed(nowMs)) {
        this.#handlers.missed(item.asked, (nowMs - arrivedAtMs) / 1000);
      }
      soonestSeconds = this.#tryInTurn(nowMs);
    } finally {
      this.#placing = false;
      this.#drainRate.waiting(this.#queue.size > 0, nowMs);
    }
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#queue.size === 0) return;
    const delayMs = Math.min(longestWaitMs, Math.max(shortestWaitMs, soonestSeconds * 1000));
    this.#timer = this.#clock.after(delayMs, () => this.placeHeld());
  }

  /** Seconds until another look makes sense. */
  #tryInTurn(nowMs: number): number {
    let soonestSeconds = Infinity;
    let waiting = 0;
    let allFull = true;
    const reserved = new Map<number, Load>();
    let keepsRoom = false;
    let changed = true;
    const pass = this.#queue.pass();
    while (waiting <= lookAhead) {
      const none = changed ? this.#handlers.nonePlaceable(this.bands, reserved) : null;
      if (none !== null) {
        soonestSeconds = Math.min(soonestSeconds, none.seconds);
        allFull &&= none.what === 'kv-cache';
        break;
      }
      const held = pass.next();
      if (held === undefined) break;
      let wait: Wait | null = null;
      try {
        wait = this.#handlers.tryToPlace(held.item.asked, held.arrivedAtMs, reserved);
      } finally {
        // One whose handler failed has had its turn as well.
        if (wait === null) this.#queue.remove(held);
      }
      changed = wait === null || wait.prefillSeconds > 0;
      if (wait === null) {
        this.#drainRate.placed(held.prefillSeconds, nowMs);
        continue;
      }
      waiting += 1;
      held.item.wait = wait;
      soonestSeconds = Math.min(soonestSeconds, wait.seconds);
      allFull &&= wait.what === 'kv-cache';
      // Room for the first long prompt is left to gather in one place, or short ones would always take it.
      const isFirst: boolean = wait.what === 'kv-cache' && !keepsRoom;
      keepsRoom ||= isFirst;
      changed ||= isFirst;
      if (!changed) continue;
      const { prefillSeconds, kvTokens } = reserved.get(wait.slot) ?? nothing;
      reserved.set(wait.slot, {
        prefillSeconds: prefillSeconds + wait.prefillSeconds,
        kvTokens: kvTokens + (isFirst ? wait.kvTokens : 0),
      });
    }
    this.#fullAt = allFull ? this.#queue.changes : null;
    return soonestSeconds;
  }
}

/** For a policy that holds nobody: those who waited under another keep their order on their way out. */
const unlimited = { maxRequests: Infinity, maxBytes: Infinity, ttlSeconds: Infinity };
const letAllThrough = {
  order: 'first-come',
  prefillWeight: 0,
  ...unlimited,
  defaultBand: unlimited,
  bands: [],
  weights: {},
  quantumTokens: Infinity,
  starvationShare: 0,
} as const;
