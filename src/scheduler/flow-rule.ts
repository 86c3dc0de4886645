/** Who goes first among one tenant's requests, by the moment at which each would be next. */
type Order = 'shortest-uncached-first' | 'first-come' | 'earliest-deadline';

/** How much of one priority may wait. */
export interface BandRule {
  readonly priority: number;
  readonly maxRequests: number;
  readonly maxBytes: number;
  /** Who has waited for so long is told to come back later. */
  readonly ttlSeconds: number;
}

/** A kind of request by its name (header or configuration), or by its model. */
export interface Objective {
  readonly name: string;
  /** Higher goes first; negative is shed first and never protected from starving. */
  readonly priority: number;
  /** Requests for these models are of this kind unless they name another. */
  readonly models: readonly string[];
  readonly ttftTargetSeconds: number | null;
  readonly tpotTargetSeconds: number | null;
}

/** Who waits, in which order, and how many may. */
export interface FlowRule {
  readonly order: Order;
  /** For `shortest-uncached-first`: arrival + this many times the request's own prefill. */
  readonly prefillWeight: number;
  /** Of all priorities together. */
  readonly maxRequests: number;
  readonly maxBytes: number;
  /** For the priorities that `bands` does not name. */
  readonly defaultBand: Omit<BandRule, 'priority'>;
  readonly bands: readonly BandRule[];
  /** How much service a tenant is due beside others; 1 where none is named. */
  readonly weights: Readonly<Record<string, number>>;
  /** How many tokens of service tenants may be apart before the one ahead has to wait for the others. */
  readonly quantumTokens: number;
  /** Of the service given to higher priorities, what those below (not the negative ones) get all the same. */
  readonly starvationShare: number;
}

/** How much an endpoint may have: the larger share of the two counts. */
interface Utilization {
  readonly queueDepth: number;
  readonly kvUsage: number;
}

/** When a request waits in the gateway instead of an engine's queue, and who goes first. */
export interface HoldRule extends FlowRule {
  /**
   * Waits while the endpoint picked has more prefill than this queued; null: while on every endpoint the first token
   * would come later than its target.
   */
  readonly maxPrefillBacklogSeconds: number | null;
  /** Full is, instead, where the endpoints' gauges say so on average; then nobody is left out or taken back. */
  readonly utilization: Utilization | null;
  /** The target of requests without one of their own. It decides who waits; nobody is refused for it. */
  readonly ttftTargetSeconds: number;
  /** With no endpoint there, requests wait for so long for the first to come. */
  readonly scaleFromZeroSeconds: number;
  readonly objectives: readonly Objective[];
  /** Streams that wait are told where they stand, in SSE comments, unless they say otherwise themselves. */
  readonly waitingComments: boolean;
}
