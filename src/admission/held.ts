import type { Caller } from '../scheduler/request.ts';

/** What a request asks for that waits in the gateway. */
export interface Asking {
  readonly caller: Caller;
  readonly arrivedAtMs: number;
  /** Its own prefill where it would be shortest. */
  readonly prefillSeconds: number;
  readonly promptTokens: number;
  /** Prompt tokens that are cached nowhere, as it stood when it came: what a tenant is charged. */
  readonly uncachedTokens: number;
  /** What it keeps in memory. */
  readonly bytes: number;
  /** How long its client waits; null where it does not say. */
  readonly timeoutSeconds: number | null;
}

/** A request that waits in the gateway for its place. */
export interface Held<Item> extends Asking {
  readonly item: Item;
  /** Lower goes first among its tenant's. */
  readonly order: number;
}
