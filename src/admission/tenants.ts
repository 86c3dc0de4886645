import { Heap } from '../base/heap.ts';
import type { Held } from './held.ts';

/** Tenants remembered although nothing of theirs waits, so that a short pause does not wipe out what they owe. */
const maxIdle = 10_000;

/** One fairness id within a priority. */
interface Tenant<Item> {
  readonly id: string;
  readonly weight: number;
  /** Tokens of service received, divided by its weight; only differences between tenants mean something. */
  served: number;
  readonly waiting: Heap<Held<Item>>;
  /** Prefill that waits. */
  prefillSeconds: number;
}

/** How far one tenant's requests have been gone through. */
interface Walk<Item> {
  readonly head: Held<Item>;
  readonly rest: Iterator<Held<Item>, undefined>;
}

/**
 * Tenants of one priority, and which of them is next. Service is counted in tokens per weight (VTC, OSDI '24); tenants
 * less than a quantum ahead of the one served least are all in credit, and among those the requests' own order decides,
 * so that fairness leaves short prompts and cached ones alone (the idea of D2LPM, arXiv 2501.14312).
 */
export class Tenants<Item> {
  readonly #weights: Readonly<Record<string, number>>;
  readonly #quantumTokens: number;
  /** Those with something waiting; the others by recency. */
  readonly #busy = new Map<string, Tenant<Item>>();
  readonly #idle = new Map<string, Tenant<Item>>();
  readonly #inCredit = new Heap<Tenant<Item>>(byService);
  readonly #ahead = new Heap<Tenant<Item>>(byService);
  /** Those in credit by what is first in each one's order. */
  readonly #ready = new Heap<Tenant<Item>>((a, b) => goesFirst(a.waiting.top!, b.waiting.top!));
  /** What the least served had when something waited last: the common zero. */
  #floor = 0;

  constructor(weights: Readonly<Record<string, number>>, quantumTokens: number) {
    this.#weights = weights;
    this.#quantumTokens = quantumTokens;
  }

  /** Those with something waiting. */
  get busy(): ReadonlyMap<string, Tenant<Item>> {
    return this.#busy;
  }

  /** The request that is next. */
  get next(): Held<Item> | undefined {
    return this.#ready.top?.waiting.top;
  }

  /** All that wait, in the order in which they should be tried, until anything changes: of those in credit first. */
  *inTurn(): Generator<Held<Item>, undefined> {
    const begun = new Heap<Walk<Item>>((a, b) => goesFirst(a.head, b.head));
    const tenants = this.#ready.inOrder();
    let tenant = tenants.next().value;
    for (let walk = begun.top; tenant !== undefined || walk !== undefined; walk = begun.top) {
      if (tenant !== undefined && (walk === undefined || goesFirst(tenant.waiting.top!, walk.head))) {
        const rest = tenant.waiting.inOrder();
        begun.put({ head: rest.next().value!, rest });
        tenant = tenants.next().value;
        continue;
      }
      yield walk!.head;
      const head = walk!.rest.next().value;
      if (head === undefined) begun.delete(walk!);
      else begun.put(Object.assign(walk!, { head }));
    }
    for (const ahead of this.#ahead.inOrder()) yield* ahead.waiting.inOrder();
  }

  add(held: Held<Item>): void {
    const id = held.caller.fairnessId;
    let tenant = this.#busy.get(id);
    if (tenant === undefined) {
      tenant = this.#idle.get(id) ?? this.#newcomer(id);
      this.#idle.delete(id);
      // Who did not wait has no claim on what others got meanwhile, and no debt for what cost nobody anything.
      tenant.served = Math.min(Math.max(tenant.served, this.#floor), this.#floor + this.#quantumTokens);
      this.#busy.set(id, tenant);
    }
    tenant.prefillSeconds += held.prefillSeconds;
    tenant.waiting.put(held);
    this.#rank(tenant);
  }

  remove(held: Held<Item>): void {
    const tenant = this.#busy.get(held.caller.fairnessId)!;
    tenant.waiting.delete(held);
    tenant.prefillSeconds -= held.prefillSeconds;
    if (tenant.waiting.size > 0) {
      if (this.#ready.has(tenant)) this.#ready.put(tenant);
      return;
    }
    tenant.prefillSeconds = 0;
    this.#busy.delete(tenant.id);
    this.#ready.delete(tenant);
    this.#inCredit.delete(tenant);
    this.#ahead.delete(tenant);
    this.#idle.set(tenant.id, tenant);
    if (this.#idle.size > maxIdle) this.#idle.delete(this.#idle.keys().next().value!);
    this.#promote();
  }

  /** Counts service, whether or not something of the tenant waits. */
  charge(id: string, tokens: number): void {
    const busy = this.#busy.get(id);
    const tenant = busy ?? this.#idle.get(id);
    if (tenant === undefined) return;
    tenant.served += tokens / tenant.weight;
    if (busy !== undefined) this.#rank(busy);
  }

  #newcomer(id: string): Tenant<Item> {
    const waiting = new Heap<Held<Item>>(goesFirst);
    return { id, weight: this.#weights[id] ?? 1, served: 0, waiting, prefillSeconds: 0 };
  }

  /** Puts a tenant on the side where it belongs. While any waits there is one in credit: the least served. */
  #rank(tenant: Tenant<Item>): void {
    if (this.#ahead.has(tenant)) this.#ahead.put(tenant);
    else {
      this.#inCredit.put(tenant);
      if (tenant.served > this.#inCredit.top!.served + this.#quantumTokens) {
        this.#ready.delete(tenant);
        this.#inCredit.delete(tenant);
        this.#ahead.put(tenant);
      } else this.#ready.put(tenant);
    }
    this.#promote();
  }

  #promote(): void {
    for (let tenant = this.#ahead.top; tenant !== undefined; tenant = this.#ahead.top) {
      const least = this.#inCredit.top;
      if (least !== undefined && tenant.served > least.served + this.#quantumTokens) break;
      this.#ahead.delete(tenant);
      this.#inCredit.put(tenant);
      this.#ready.put(tenant);
    }
    this.#floor = Math.max(this.#floor, this.#inCredit.top?.served ?? 0);
  }
}

function byService(left: { readonly served: number }, right: { readonly served: number }): boolean {
  return left.served < right.served;
}

function goesFirst(left: Held<unknown>, right: Held<unknown>): boolean {
  return left.order < right.order || (left.order === right.order && left.arrivedAtMs < right.arrivedAtMs);
}
