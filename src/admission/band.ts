import type { Held } from './held.ts';
import type { BandRule, FlowRule } from '../scheduler/flow-rule.ts';
import { Tenants } from './tenants.ts';

/** What waits with one priority. */
export class Band<Item> {
  readonly rule: BandRule;
  readonly tenants: Tenants<Item>;
  /** By arrival: the first is the one that waits longest. */
  readonly #byArrival = new Set<Held<Item>>();
  bytes = 0;
  prefillSeconds = 0;
  /** Tokens that it is due because higher priorities were served while it waited. */
  owedTokens = 0;

  constructor(rule: BandRule, { weights, quantumTokens }: FlowRule) {
    this.rule = rule;
    this.tenants = new Tenants(weights, quantumTokens);
  }

  get size(): number {
    return this.#byArrival.size;
  }

  get oldest(): Held<Item> | undefined {
    return this.#byArrival.values().next().value;
  }

  /** Whether one more of so many bytes is within its limits. */
  hasRoomFor(bytes: number): boolean {
    return this.size < this.rule.maxRequests && this.bytes + bytes <= this.rule.maxBytes;
  }

  add(held: Held<Item>): void {
    this.tenants.add(held);
    this.#byArrival.add(held);
    this.bytes += held.bytes;
    this.prefillSeconds += held.prefillSeconds;
  }

  /** One that was taken from its tenant waits no longer. */
  leave(held: Held<Item>): void {
    this.tenants.leave(held);
    this.#byArrival.delete(held);
    this.bytes -= held.bytes;
    // Sums of fractions drift; an empty band waits for nothing.
    this.prefillSeconds = this.size === 0 ? 0 : this.prefillSeconds - held.prefillSeconds;
  }

  has(held: Held<Item>): boolean {
    return this.#byArrival.has(held);
  }

  /** What would be missed least: of the tenant with most waiting, one that is far back in its order. */
  get leastUrgent(): Held<Item> | undefined {
    let most = null;
    for (const tenant of this.tenants.busy.values()) {
      if (most === null || tenant.waiting.size > most.waiting.size) most = tenant;
    }
    return most?.waiting.leaf;
  }
}
