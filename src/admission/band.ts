import type { Held } from './held.ts';
import type { BandRule, FlowRule } from '../scheduler/flow-rule.ts';
import { SizeClasses } from './size-classes.ts';
import { Tenants } from './tenants.ts';

/** What waits with one priority. */
export class Band<Item> {
  readonly rule: BandRule;
  readonly tenants: Tenants<Item>;
  /** By arrival: the first is the one that waits longest. */
  readonly #byArrival = new Set<Held<Item>>();
  readonly #promptSizes = new SizeClasses();
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

  /** No prompt is shorter; infinite without any. */
  get leastPromptTokens(): number {
    return this.#promptSizes.leastSize;
  }

  /** Whether one more of so many bytes is within its limits. */
  hasRoomFor(bytes: number): boolean {
    return this.size < this.rule.maxRequests && this.bytes + bytes <= this.rule.maxBytes;
  }

  add(held: Held<Item>): void {
    this.tenants.add(held);
    this.#byArrival.add(held);
    this.#promptSizes.add(held.promptTokens);
    this.bytes += held.bytes;
    this.prefillSeconds += held.prefillSeconds;
  }

  remove(held: Held<Item>): void {
    this.tenants.remove(held);
    this.#byArrival.delete(held);
    this.#promptSizes.remove(held.promptTokens);
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
