import { Fleet } from '../fleet/fleet.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { RequestView } from '../fleet/request-view.ts';
import { blocksOfPrefixKey } from './blocks.ts';
import type { SimulatedEngine } from './simulated-engine.ts';
import { ToldSpeed } from './told-speed.ts';

/** What a policy goes by: what a router can know; that, and the engines' true speeds; or the engines themselves. */
export type Knowledge = 'router' | 'true-speeds' | 'perfect';

interface InformedFleetOptions {
  readonly slots: number;
  readonly engineAt: (slot: number) => SimulatedEngine;
  readonly blockTokens: number;
}

const options = { prefixSeed: { low: 0, high: 0 } };

export function fleetOf(knowledge: Knowledge, informed: InformedFleetOptions): Fleet {
  if (knowledge === 'router') return new Fleet(options);
  return knowledge === 'perfect' ? new OmniscientFleet(informed) : new SpeedToldFleet(informed);
}

class SpeedToldFleet extends Fleet {
  override readonly speed: ToldSpeed;

  constructor({ slots, engineAt }: InformedFleetOptions) {
    super(options);
    this.speed = new ToldSpeed(slots, (slot) => engineAt(slot).speed);
  }
}

/** Sees in the engines, at the moment of the pick, what is cached there and what prefill is left. */
class OmniscientFleet extends Fleet {
  readonly #informed: InformedFleetOptions;

  constructor(informed: InformedFleetOptions) {
    super(options);
    this.#informed = informed;
  }

  override view(
    model: string,
    promptTokens: number,
    key: PrefixKey,
    nowMs: number,
    tried: ReadonlySet<number>,
  ): RequestView {
    const { slots, engineAt, blockTokens } = this.#informed;
    const view = super.view(model, promptTokens, key, nowMs, tried);
    const hashes = blocksOfPrefixKey(key);
    // The last token is always computed.
    const mostBlocks = Math.floor((promptTokens - 1) / blockTokens);
    const cached = new Float64Array(slots);
    const prefillSeconds = new Float64Array(slots);
    for (const slot of view.eligible) {
      const engine = engineAt(slot);
      view.queuedPrefillSeconds[slot] = engine.queuedPrefillSeconds(nowMs);
      cached[slot] = Math.min(mostBlocks, engine.cachedBlocks(hashes)) * blockTokens;
      prefillSeconds[slot] = engine.prefillSeconds(promptTokens - cached[slot]!, cached[slot]!);
    }
    view.know(cached, prefillSeconds);
    return view;
  }
}
