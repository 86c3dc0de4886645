import type { PluginDefinition } from '../plugin.ts';
import { alwaysDisaggPdDecider } from './deciders/always-disagg-pd-decider.ts';
import { costBasedPdDecider } from './deciders/cost-based-pd-decider.ts';
import { prefixBasedPdDecider } from './deciders/prefix-based-pd-decider.ts';
import { decodeFilter } from './filters/decode-filter.ts';
import { labelSelectorFilter } from './filters/label-selector-filter.ts';
import { prefillFilter } from './filters/prefill-filter.ts';
import { prefixCacheAffinityFilter } from './filters/prefix-cache-affinity-filter.ts';
import { prefixMatchFilter } from './filters/prefix-match-filter.ts';
import { sessionAffinityFilter } from './filters/session-affinity-filter.ts';
import { utilizationFilter } from './filters/utilization-filter.ts';
import { waitingLimitFilter } from './filters/waiting-limit-filter.ts';
import { maxScorePicker } from './pickers/max-score-picker.ts';
import { minCostPicker } from './pickers/min-cost-picker.ts';
import { powerOfTwoPicker } from './pickers/power-of-two-picker.ts';
import { randomPicker } from './pickers/random-picker.ts';
import { roundRobinPicker } from './pickers/round-robin-picker.ts';
import { weightedRandomPicker } from './pickers/weighted-random-picker.ts';
import { disaggProfileHandler } from './profile-handlers/disagg-profile-handler.ts';
import { pdProfileHandler } from './profile-handlers/pd-profile-handler.ts';
import { singleProfileHandler } from './profile-handlers/single-profile-handler.ts';
import { activeRequestScorer } from './scorers/active-request-scorer.ts';
import { aibrixPrefixScorer } from './scorers/aibrix-prefix-scorer.ts';
import { cacheAwareScorer } from './scorers/cache-aware-scorer.ts';
import { chwblScorer } from './scorers/chwbl-scorer.ts';
import { contextLengthAware } from './scorers/context-length-aware.ts';
import { decodeCost } from './scorers/decode-cost.ts';
import { delayToOthersCost } from './scorers/delay-to-others-cost.ts';
import { drainTimeCost } from './scorers/drain-time-cost.ts';
import { dualmapScorer } from './scorers/dualmap-scorer.ts';
import { dynamoScorer } from './scorers/dynamo-scorer.ts';
import { headerLabelAffinityScorer } from './scorers/header-label-affinity-scorer.ts';
import { kthenaLeastLatencyScorer } from './scorers/kthena-least-latency-scorer.ts';
import { kthenaLeastRequestScorer } from './scorers/kthena-least-request-scorer.ts';
import { kvCacheUtilizationScorer } from './scorers/kv-cache-utilization-scorer.ts';
import { kvPressureCost } from './scorers/kv-pressure-cost.ts';
import { lmetricScorer } from './scorers/lmetric-scorer.ts';
import { kvcacheAwareScorer } from './scorers/kvcache-aware-scorer.ts';
import { loadAwareScorer } from './scorers/load-aware-scorer.ts';
import { loraAffinityScorer } from './scorers/lora-affinity-scorer.ts';
import { noHitLruScorer } from './scorers/no-hit-lru-scorer.ts';
import { ownPrefillCost } from './scorers/own-prefill-cost.ts';
import { prebleScorer } from './scorers/preble-scorer.ts';
import { prefixAwareScorer } from './scorers/prefix-aware-scorer.ts';
import { prefixCacheScorer } from './scorers/prefix-cache-scorer.ts';
import { prefixOverLoadScorer } from './scorers/prefix-over-load-scorer.ts';
import { queueScorer } from './scorers/queue-scorer.ts';
import { queuedPrefillCost } from './scorers/queued-prefill-cost.ts';
import { runningRequestsSizeScorer } from './scorers/running-requests-size-scorer.ts';
import { sessionAffinityScorer } from './scorers/session-affinity-scorer.ts';
import { tokenLoadScorer } from './scorers/token-load-scorer.ts';

/** Every plugin there is. A new one is a file of its own and a line here. */
export const plugins: readonly PluginDefinition[] = [
  singleProfileHandler,
  disaggProfileHandler,
  pdProfileHandler,
  alwaysDisaggPdDecider,
  costBasedPdDecider,
  prefixBasedPdDecider,
  decodeFilter,
  labelSelectorFilter,
  prefillFilter,
  prefixCacheAffinityFilter,
  prefixMatchFilter,
  sessionAffinityFilter,
  utilizationFilter,
  waitingLimitFilter,
  activeRequestScorer,
  aibrixPrefixScorer,
  cacheAwareScorer,
  chwblScorer,
  contextLengthAware,
  decodeCost,
  delayToOthersCost,
  drainTimeCost,
  dualmapScorer,
  dynamoScorer,
  headerLabelAffinityScorer,
  kthenaLeastLatencyScorer,
  kthenaLeastRequestScorer,
  kvCacheUtilizationScorer,
  kvPressureCost,
  kvcacheAwareScorer,
  lmetricScorer,
  loadAwareScorer,
  loraAffinityScorer,
  noHitLruScorer,
  ownPrefillCost,
  prebleScorer,
  prefixAwareScorer,
  prefixCacheScorer,
  prefixOverLoadScorer,
  queueScorer,
  queuedPrefillCost,
  runningRequestsSizeScorer,
  sessionAffinityScorer,
  tokenLoadScorer,
  maxScorePicker,
  minCostPicker,
  powerOfTwoPicker,
  randomPicker,
  roundRobinPicker,
  weightedRandomPicker,
];

export const pluginByType: ReadonlyMap<string, PluginDefinition> = new Map(
  plugins.map((definition) => [definition.type, definition]),
);
