import { Heap } from '../base/heap.ts';
import { Band } from './band.ts';
import type { Asking, Held } from './held.ts';
import { orderOf } from './order.ts';
import type { BandRule, FlowRule } from '../scheduler/flow-rule.ts';

/** Of one tenant's requests, as many are looked at to say how much is ahead of a new one; with more it is all of them. */
const maxCounted = 2000;

/** What waits ahead of a request. */
export interface Ahead {
  readonly requests: number;
  readonly prefillSeconds: number;
}

/** One look through the queue, each request once. */
interface Pass<Item> {
  /** The next to be tried; it goes on waiting unless it is removed. Undefined when there is none. */
  next(): Held<Item> | undefined;
}

/**
 * Requests that wait in the gateway: by priority, then fairly between tenants, then in the tenant's own order.
 * Lower priorities that are not negative get `starvationShare` of what is served above them.
 */
export class FlowQueue<Item> {
  readonly #rule: FlowRule;
  /** Highest priority first. */
  #bands: Band<Item>[] = [];
  /** Those with a target or a client that waits for so long only, by when that is missed. */
  readonly #byDeadline = new Heap<Held<Item>>((a, b) => deadlineMs(a) < deadlineMs(b));
  #size = 0;
  #bytes = 0;
  /** Counts whatever may have changed whose turn it is. */
  #changes = 0;

  constructor(rule: FlowRule) {
    this.#rule = rule;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Another number whenever it may be another's turn. */
  get changes(): number {
    return this.#changes;
  }

  /** Highest priority first. */
  get bands(): readonly Band<Item>[] {
    return this.#bands;
  }

  /**
   * Puts a request in. Where its priority or the whole queue is full, `evicted` says who of a lower priority has to
   * leave for it, already out of the queue; null when it is the newcomer itself that finds no room.
   */
  add(item: Item, asking: Asking): { readonly held: Held<Item>; readonly evicted: readonly Held<Item>[] } | null {
    const band = this.#band(asking.caller.priority);
    if (!band.hasRoomFor(asking.bytes)) return null;
    const evicted: Held<Item>[] = [];
    while (this.#size >= this.#rule.maxRequests || this.#bytes + asking.bytes > this.#rule.maxBytes) {
      const victim = this.#bands.findLast(({ size }) => size > 0);
      const held = victim === undefined || victim.rule.priority >= band.rule.priority ? undefined : victim.leastUrgent;
      if (held === undefined) {
        for (const back of evicted) this.#put(back);
        return null;
      }
      this.remove(held);
      evicted.push(held);
    }
    const held: Held<Item> = { item, ...asking, order: orderOf(asking, this.#rule) };
    this.#put(held);
    return { held, evicted };
  }

  /** Takes it out; false when it was no longer there. */
  remove(held: Held<Item>): boolean {
    const band = this.#band(held.caller.priority);
    if (!band.has(held)) return false;
    band.remove(held);
    this.#changes += 1;
    this.#byDeadline.delete(held);
    this.#size -= 1;
    this.#bytes -= held.bytes;
    return true;
  }

  /** Those that have waited for longer than they may, out of the queue. */
  takeExpired(nowMs: number): Held<Item>[] {
    const expired: Held<Item>[] = [];
    for (const band of this.#bands) {
      for (let held = band.oldest; held !== undefined; held = band.oldest) {
        if (nowMs - held.arrivedAtMs <= band.rule.ttlSeconds * 1000) break;
        this.remove(held);
        expired.push(held);
      }
    }
    return expired;
  }

  /** Those whose first token cannot come in time any more, wherever they went now, out of the queue. */
  takeMissed(nowMs: number): Held<Item>[] {
    const missed: Held<Item>[] = [];
    for (let held = this.#byDeadline.top; held !== undefined && deadlineMs(held) < nowMs; held = this.#byDeadline.top) {
      this.remove(held);
      missed.push(held);
    }
    return missed;
  }

  /** Counts service that a tenant got, in tokens, and what lower priorities are due for it. */
  charge({ priority, fairnessId }: Held<Item>['caller'], tokens: number): void {
    this.#changes += 1;
    for (const band of this.#bands) {
      if (band.rule.priority === priority) {
        band.tenants.charge(fairnessId, tokens);
        band.owedTokens = Math.max(0, band.owedTokens - tokens);
      } else if (band.rule.priority < priority && band.rule.priority >= 0 && band.size > 0) {
        const { starvationShare, quantumTokens } = this.#rule;
        band.owedTokens = Math.min(quantumTokens, band.owedTokens + tokens * starvationShare);
      }
    }
  }

  /** A look through the queue in the order in which requests should be tried. */
  pass(): Pass<Item> {
    const tried = new Set<Held<Item>>();
    const paid = new Set<Band<Item>>();
    const walks = new Map<Band<Item>, Iterator<Held<Item>, undefined>>();
    let changes = this.#changes;
    const nextOf = (band: Band<Item>): Held<Item> | undefined => {
      let walk = walks.get(band);
      if (walk === undefined) {
        // Mostly the first of all is all that is asked for.
        const first = band.tenants.next;
        if (first === undefined || !tried.has(first)) return first;
        walks.set(band, (walk = band.tenants.inTurn()));
      }
      let held = walk.next().value;
      while (held !== undefined && tried.has(held)) held = walk.next().value;
      return held;
    };
    const next = (): Held<Item> | undefined => {
      const due = this.#bands.findLast((band) => !paid.has(band) && isDue(band));
      if (due !== undefined) paid.add(due);
      for (const band of due === undefined ? this.#bands : [due, ...this.#bands]) {
        const held = nextOf(band);
        if (held !== undefined) return held;
      }
      return undefined;
    };
    return {
      next: () => {
        if (changes !== this.#changes) {
          changes = this.#changes;
          walks.clear();
        }
        const held = next();
        if (held !== undefined) tried.add(held);
        return held;
      },
    };
  }

  /** What would be served before a request that came now. */
  aheadOf(asking: Asking): Ahead {
    let requests = 0;
    let prefillSeconds = 0;
    for (const band of this.#bands) {
      if (band.rule.priority < asking.caller.priority) break;
      if (band.rule.priority > asking.caller.priority) {
        requests += band.size;
        prefillSeconds += band.prefillSeconds;
        continue;
      }
      const { busy } = band.tenants;
      const own = busy.get(asking.caller.fairnessId);
      const ownAhead = { requests: own?.waiting.size ?? 0, prefillSeconds: own?.prefillSeconds ?? 0 };
      if (own !== undefined && own.waiting.size <= maxCounted) {
        const order = orderOf(asking, this.#rule);
        for (const held of own.waiting.values()) {
          if (held.order <= order) continue;
          ownAhead.requests -= 1;
          ownAhead.prefillSeconds -= held.prefillSeconds;
        }
      }
      // Others of the same priority get as much as this tenant until its turn has come, unless less of theirs waits.
      for (const other of busy.values()) {
        if (other === own) continue;
        requests += Math.min(other.waiting.size, ownAhead.requests);
        prefillSeconds += Math.min(other.prefillSeconds, ownAhead.prefillSeconds);
      }
      requests += ownAhead.requests;
      prefillSeconds += ownAhead.prefillSeconds;
    }
    return { requests, prefillSeconds };
  }

  #put(held: Held<Item>): void {
    this.#changes += 1;
    this.#band(held.caller.priority).add(held);
    if (deadlineMs(held) < Infinity) this.#byDeadline.put(held);
    this.#size += 1;
    this.#bytes += held.bytes;
  }

  #band(priority: number): Band<Item> {
    let band = this.#bands.find(({ rule }) => rule.priority === priority);
    if (band === undefined) {
      const rule: BandRule = this.#rule.bands.find((named) => named.priority === priority) ?? {
        priority,
        ...this.#rule.defaultBand,
      };
      band = new Band(rule, this.#rule);
      this.#bands = [...this.#bands, band].sort((a, b) => b.rule.priority - a.rule.priority);
    }
    return band;
  }
}

/** The last moment at which it could be placed and be in time. */
function deadlineMs({ arrivedAtMs, caller, prefillSeconds, timeoutSeconds }: Asking): number {
  const seconds = Math.min((caller.ttftTargetSeconds ?? Infinity) - prefillSeconds, timeoutSeconds ?? Infinity);
  return arrivedAtMs + seconds * 1000;
}

function isDue<Item>(band: Band<Item>): boolean {
  const next = band.owedTokens > 0 ? band.tenants.next : undefined;
  return next !== undefined && next.uncachedTokens <= band.owedTokens;
}
