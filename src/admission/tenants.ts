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
  /** Taken out to be tried, and not yet placed or given back. */
  taken: number;
  /** Prefill that waits. */
  prefillSeconds: number;
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
  /** Those in credit with something to take. */
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

  /** The request that is next; undefined when there is none to take. With nothing of those in credit, of somebody else. */
  get next(): Held<Item> | undefined {
    const ready = this.#ready.top;
    if (ready !== undefined) return ready.waiting.top;
    for (const tenant of this.#ahead.values()) if (tenant.waiting.size > 0) return tenant.waiting.top;
    return undefined;
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

  /** Takes one out to be tried: its tenant goes on counting as one that waits. */
  take(held: Held<Item>): void {
    const tenant = this.#busy.get(held.caller.fairnessId)!;
    this.#ready.delete(tenant);
    tenant.waiting.delete(held);
    tenant.taken += 1;
    if (tenant.waiting.size > 0 && this.#inCredit.has(tenant)) this.#ready.put(tenant);
  }

  /** One that was taken goes on waiting. */
  giveBack(held: Held<Item>): void {
    const tenant = this.#busy.get(held.caller.fairnessId)!;
    this.#ready.delete(tenant);
    tenant.taken -= 1;
    tenant.waiting.put(held);
    this.#rank(tenant);
  }

  /** One that was taken waits no longer. */
  leave(held: Held<Item>): void {
    const tenant = this.#busy.get(held.caller.fairnessId)!;
    tenant.taken -= 1;
    tenant.prefillSeconds -= held.prefillSeconds;
    if (tenant.waiting.size + tenant.taken > 0) return;
    tenant.prefillSeconds = 0;
    this.#busy.delete(tenant.id);
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
    return { id, weight: this.#weights[id] ?? 1, served: 0, waiting, taken: 0, prefillSeconds: 0 };
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
      } else if (tenant.waiting.size > 0) this.#ready.put(tenant);
    }
    this.#promote();
  }

  #promote(): void {
    for (let tenant = this.#ahead.top; tenant !== undefined; tenant = this.#ahead.top) {
      const least = this.#inCredit.top;
      if (least !== undefined && tenant.served > least.served + this.#quantumTokens) break;
      this.#ahead.delete(tenant);
      this.#inCredit.put(tenant);
      if (tenant.waiting.size > 0) this.#ready.put(tenant);
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
