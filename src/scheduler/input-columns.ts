import { numbers } from '../base/numbers.ts';
import type { DecisionInputs } from './decision.ts';
import type { FleetView } from './view.ts';

/** What the scheduler saw, copied into one piece of memory: a Decision is made of every request, and few are looked at. */
export class InputColumns implements DecisionInputs {
  readonly #columns: Float64Array;
  readonly #length: number;

  /** `prefillShare` takes some computing and is kept only where it is wanted. */
  constructor(view: FleetView, withPrefillShare: boolean) {
    const { eligible } = view;
    const sources = [
      view.waiting,
      view.running,
      view.othersInFlight,
      view.kvUsage,
      view.inFlight,
      view.queuedPrefillTokens,
      view.queuedPrefillSeconds,
      view.contextTokens,
      view.cachedTokens(),
      view.prefillSeconds(),
      view.gaugeAgeMs,
      view.speed,
    ];
    const shares = withPrefillShare ? view.prefillShare?.() : undefined;
    if (shares !== undefined) sources.push(shares);
    const length = eligible.length;
    const columns = numbers(sources.length * length);
    let at = 0;
    for (let which = 0; which < sources.length; which++) {
      const source = sources[which]!;
      for (let i = 0; i < length; i++) columns[at++] = source[eligible[i]!] ?? NaN;
    }
    this.#columns = columns;
    this.#length = length;
  }

  #column(which: number): Float64Array {
    return this.#columns.subarray(which * this.#length, (which + 1) * this.#length);
  }

  get waiting(): Float64Array {
    return this.#column(0);
  }
  get running(): Float64Array {
    return this.#column(1);
  }
  get othersInFlight(): Float64Array {
    return this.#column(2);
  }
  get kvUsage(): Float64Array {
    return this.#column(3);
  }
  get inFlight(): Float64Array {
    return this.#column(4);
  }
  get queuedPrefillTokens(): Float64Array {
    return this.#column(5);
  }
  get queuedPrefillSeconds(): Float64Array {
    return this.#column(6);
  }
  get contextTokens(): Float64Array {
    return this.#column(7);
  }
  get cachedTokens(): Float64Array {
    return this.#column(8);
  }
  get prefillSeconds(): Float64Array {
    return this.#column(9);
  }
  get ageMs(): Float64Array {
    return this.#column(10);
  }
  get speed(): Float64Array {
    return this.#column(11);
  }
  get prefillShare(): Float64Array {
    const isKnown = this.#columns.length > 12 * this.#length;
    return isKnown ? this.#column(12) : new Float64Array(this.#length).fill(NaN);
  }
}

/** The same as an object of its own, to be changed. */
export function inputsCopied(inputs: DecisionInputs): Record<keyof DecisionInputs, Float64Array> {
  return {
    waiting: inputs.waiting,
    running: inputs.running,
    othersInFlight: inputs.othersInFlight,
    kvUsage: inputs.kvUsage,
    inFlight: inputs.inFlight,
    queuedPrefillTokens: inputs.queuedPrefillTokens,
    queuedPrefillSeconds: inputs.queuedPrefillSeconds,
    contextTokens: inputs.contextTokens,
    cachedTokens: inputs.cachedTokens,
    prefillSeconds: inputs.prefillSeconds,
    ageMs: inputs.ageMs,
    speed: inputs.speed,
    prefillShare: inputs.prefillShare,
  };
}
