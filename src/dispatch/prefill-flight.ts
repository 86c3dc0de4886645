import type { Clock } from '../base/clock.ts';
import type { Fleet, Placement } from '../fleet/fleet.ts';
import type { Failure } from '../fleet/health.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { Endpoint } from '../scheduler/endpoint.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { Place } from './choice.ts';

/** `busy` and `refused` say nothing against the endpoint; after `refused` no other is tried. */
type PrefillFailure = Failure | 'busy' | 'refused' | 'local';

interface PrefillContext {
  readonly fleet: Fleet;
  readonly clock: Clock;
  /** The prompt is to be computed where it is decoded after all. */
  toDecode(): void;
  freed(): void;
}

/** However fast the engine is thought to be. */
const leastPatienceMs = 20_000;
/** Times what the prefill is expected to take, those before it included. */
const patience = 5;

/**
 * The prefill of a request that is split: counted where it is computed, tried at one other endpoint when it fails, and
 * given to the decode endpoint when that fails too.
 */
export class PrefillFlight {
  readonly #decision: Decision;
  readonly #request: SchedulingRequest;
  readonly #key: PrefixKey;
  readonly #context: PrefillContext;
  readonly #places: Place[];
  readonly #startedAtMs: number;
  #endedAtMs: number | null = null;
  #placement: Placement | null = null;
  #endpoint: Endpoint | null = null;
  #cachedTokens: number | null = null;

  constructor(
    decision: Decision,
    request: SchedulingRequest,
    key: PrefixKey,
    places: readonly Place[],
    context: PrefillContext,
  ) {
    this.#decision = decision;
    this.#request = request;
    this.#key = key;
    this.#places = [...places];
    this.#context = context;
    this.#startedAtMs = context.clock.nowMs();
    this.#next('picked');
  }

  /** Where the prompt is being computed; null once that is over, or left to the decode endpoint. */
  get endpoint(): Endpoint | null {
    return this.#endpoint;
  }

  /** Where it is tried next. */
  get alternatives(): Endpoint[] {
    return this.#places.flatMap(({ slot }) => this.#context.fleet.endpointAt(slot) ?? []);
  }

  /** Prompt tokens that were cached where it was computed; null when not said. */
  get cachedTokens(): number | null {
    return this.#cachedTokens;
  }

  /** How long decode had to wait for it so far, as far as that explains a silence. */
  get explainsSilenceMs(): number {
    const nowMs = this.#context.clock.nowMs();
    return Math.min((this.#endedAtMs ?? nowMs) - this.#startedAtMs, 2 * this.patienceMs);
  }

  /** Whether nobody is there any more who could answer. */
  get isGone(): boolean {
    return this.#placement !== null && this.#context.fleet.isGone(this.#placement.slot);
  }

  get patienceMs(): number {
    const placement = this.#placement;
    if (placement === null) return leastPatienceMs;
    const { fleet, clock } = this.#context;
    const expectedSeconds = placement.prefillCost * fleet.speed.slowness(placement.slot, clock.nowMs());
    return Math.max(leastPatienceMs, patience * 1000 * expectedSeconds);
  }

  /** The prompt was computed, `agoMs` before now (null where nobody saw when), with `cachedTokens` of it there already. */
  answered(status: number, cachedTokens: number | null = null, agoMs: number | null = 0): void {
    const placement = this.#placement;
    if (placement === null) return;
    const { fleet, clock } = this.#context;
    this.#mark(status, 'answered');
    this.#cachedTokens = cachedTokens;
    this.#endedAtMs = clock.nowMs();
    if (agoMs !== null) fleet.succeeded(placement.slot);
    if (agoMs !== null && placement.entry.streaming) fleet.prefilled(placement, clock.nowMs() - agoMs);
    fleet.ended(placement, clock.nowMs());
    this.#placement = null;
    this.#endpoint = null;
    this.#context.freed();
  }

  /** It was not: where to try next, counted, or null when it is left to the decode endpoint. */
  failed(status: number | null, failure: PrefillFailure, reason: string): Endpoint | null {
    const placement = this.#placement;
    if (placement === null) return null;
    const { fleet, clock } = this.#context;
    this.#mark(status, reason);
    this.#withdraw();
    if (failure === 'busy') fleet.busy(placement.slot, clock.nowMs());
    else if (failure !== 'refused' && failure !== 'local') fleet.failed(placement.slot, failure, clock.nowMs());
    if (failure !== 'refused' && this.#next('retried')) return this.#endpoint;
    this.#endedAtMs = clock.nowMs();
    this.#context.toDecode();
    this.#context.freed();
    return null;
  }

  /** The request is over, or tried anew: nothing is to be heard of this prefill. */
  abandon(reason: string): void {
    if (this.#placement === null) return;
    this.#mark(null, reason);
    this.#withdraw();
    this.#context.freed();
  }

  #next(reason: string): boolean {
    const { fleet, clock } = this.#context;
    for (let place = this.#places.shift(); place !== undefined; place = this.#places.shift()) {
      const endpoint = fleet.endpointAt(place.slot);
      if (endpoint === undefined) continue;
      this.#endpoint = endpoint;
      this.#placement = fleet.place(this.#request, this.#key, place.slot, place.cachedTokens, clock.nowMs());
      this.#decision.disaggregation?.attempts.push({ endpoint: endpoint.name, status: null, reason });
      return true;
    }
    return false;
  }

  #withdraw(): void {
    this.#context.fleet.withdraw(this.#placement!, this.#context.clock.nowMs());
    this.#placement = null;
    this.#endpoint = null;
  }

  #mark(status: number | null, reason: string): void {
    const attempt = this.#decision.disaggregation?.attempts.at(-1);
    if (attempt !== undefined) Object.assign(attempt, { status, reason });
  }
}
