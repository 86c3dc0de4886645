import type { PluginDefinition } from '../plugin.ts';
import { decodeFilter } from './filters/decode-filter.ts';
import { prefillFilter } from './filters/prefill-filter.ts';
import { maxScorePicker } from './pickers/max-score-picker.ts';
import { minCostPicker } from './pickers/min-cost-picker.ts';
import { singleProfileHandler } from './profile-handlers/single-profile-handler.ts';
import { loadAwareScorer } from './scorers/load-aware-scorer.ts';
import { prefixAwareScorer } from './scorers/prefix-aware-scorer.ts';
import { sessionAffinityScorer } from './scorers/session-affinity-scorer.ts';

/** Every plugin there is. A new one is a file of its own and a line here. */
export const plugins: readonly PluginDefinition[] = [
  singleProfileHandler,
  decodeFilter,
  prefillFilter,
  sessionAffinityScorer,
  prefixAwareScorer,
  loadAwareScorer,
  maxScorePicker,
  minCostPicker,
];

export const pluginByType: ReadonlyMap<string, PluginDefinition> = new Map(
  plugins.map((definition) => [definition.type, definition]),
);
