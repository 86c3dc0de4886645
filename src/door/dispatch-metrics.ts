import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { ShadowTally } from '../dispatch/shadow-tally.ts';
import { epp } from './metric-names.ts';

/** What waits in the gateway, and what policies in shadow say. */
export function dispatchFamilies(dispatch: Dispatch, poolName: string): Family[] {
  const { arrivals, shadows } = dispatch;
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const counter = (name: string, help: string, samples: () => Sample[]): Family =>
    readAtScrape([`signalbox_${name}`], help, samples, 'counter');
  const ofShadows = (value: (tally: ShadowTally) => number) => (): Sample[] =>
    shadows.all.map(({ policy, tally }) => ({ labels: { policy: policy.name }, value: value(tally) }));
  return [
    readAtScrape(epp('flow_control_queue_size'), 'Requests held for later.', () => [
      { labels: { inference_pool: poolName }, value: dispatch.held },
    ]),
    counter('held_total', 'Requests that had to wait for their place.', () => one(arrivals.held)),
    counter('held_left_total', 'Requests whose clients left while they waited.', () => one(arrivals.left)),
    counter(
      'shadow_compared_total',
      'Decisions that a policy in shadow was asked about.',
      ofShadows(({ compared }) => compared),
    ),
    counter(
      'shadow_agreed_total',
      'Of those, where it picked the same endpoint.',
      ofShadows(({ agreed }) => agreed),
    ),
    counter(
      'shadow_ttft_seconds_total',
      "Predicted TTFT of a shadow's picks, summed where both are known.",
      ofShadows(({ ttftSeconds }) => ttftSeconds.shadow),
    ),
    counter(
      'shadow_live_ttft_seconds_total',
      'The same of the picks that were obeyed.',
      ofShadows(({ ttftSeconds }) => ttftSeconds.live),
    ),
    readAtScrape(['signalbox_shadow_share'], "The shadows' time beside the scheduler's, 0..1.", () =>
      one(shadows.share ?? NaN),
    ),
  ];
}
