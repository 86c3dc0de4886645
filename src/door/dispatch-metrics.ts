import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { ShadowTally } from '../dispatch/shadow-tally.ts';
import { scaleSignal } from '../dispatch/scale-signal.ts';
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
    ...queueFamilies(dispatch, poolName),
    readAtScrape(
      ['signalbox_desired_replicas'],
      'Endpoints that would do what there is to do at 70 % and take up what waits within half a minute.',
      () => [{ labels: { inference_pool: poolName }, value: scaleSignal(dispatch).desiredReplicas }],
    ),
    counter('taken_back_total', 'Requests taken back for a higher priority before any answer had come.', () =>
      one(arrivals.takenBack),
    ),
    counter('shed_total', 'Requests turned away because the fleet is full, by why.', () =>
      [...arrivals.shed].map(([reason, value]) => ({ labels: { reason }, value })),
    ),
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

/** Tenants come from clients: so many of each priority are named, the rest is summed. */
const namedTenants = 100;

/** What waits, under llm-d's names. */
function queueFamilies(dispatch: Dispatch, poolName: string): Family[] {
  const pool = { inference_pool: poolName };
  const byPriority = (value: (band: Dispatch['bands'][number]) => number) => (): Sample[] =>
    dispatch.bands.map((band) => ({ labels: { ...pool, priority: String(band.rule.priority) }, value: value(band) }));
  const ofAll = (value: () => number) => (): Sample[] => [{ labels: pool, value: value() }];
  const hold = (): { maxRequests: number; maxBytes: number } => dispatch.policy.hold ?? noLimits;
  return [
    readAtScrape(
      epp('flow_control_queue_size'),
      'Requests held for later.',
      () => {
        const samples = dispatch.bands.flatMap((band) => tenantSamples(band, pool));
        return samples.length > 0 ? samples : [{ labels: { ...pool, priority: '0', fairness_id: '' }, value: 0 }];
      },
      'gauge',
      'sum',
    ),
    readAtScrape(
      epp('flow_control_queue_bytes'),
      'What they keep in memory.',
      ofAll(() => dispatch.heldBytes),
      'gauge',
      'sum',
    ),
    readAtScrape(
      epp('flow_control_pool_saturation'),
      'How full the pool is, 1 being where requests begin to wait.',
      () => [{ labels: { ...pool, stage: 'decode' }, value: scaleSignal(dispatch).saturation }],
    ),
    readAtScrape(
      epp('flow_control_capacity_utilization_requests'),
      "Requests held as a share of the priority's limit.",
      byPriority(({ size, rule }) => size / rule.maxRequests),
      'gauge',
      'mean',
    ),
    readAtScrape(
      epp('flow_control_capacity_utilization_bytes'),
      'The same in bytes.',
      byPriority(({ bytes, rule }) => bytes / rule.maxBytes),
      'gauge',
      'mean',
    ),
    readAtScrape(
      epp('flow_control_global_capacity_utilization_requests'),
      'Requests held as a share of the limit of all.',
      ofAll(() => dispatch.held / hold().maxRequests),
      'gauge',
      'mean',
    ),
    readAtScrape(
      epp('flow_control_global_capacity_utilization_bytes'),
      'The same in bytes.',
      ofAll(() => dispatch.heldBytes / hold().maxBytes),
      'gauge',
      'mean',
    ),
  ];
}

const noLimits = { maxRequests: Infinity, maxBytes: Infinity };

function tenantSamples({ rule, size, tenants }: Dispatch['bands'][number], pool: Record<string, string>): Sample[] {
  const labels = { ...pool, priority: String(rule.priority) };
  const named = [...tenants.busy.values()]
    .slice(0, namedTenants)
    .map(({ id, waiting }) => ({ labels: { ...labels, fairness_id: id }, value: waiting.size }));
  const rest = size - named.reduce((sum, { value }) => sum + value, 0);
  return rest > 0 || named.length === 0
    ? [...named, { labels: { ...labels, fairness_id: 'other' }, value: rest }]
    : named;
}
