import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { PluginHealth } from '../configuration/guard.ts';

/** What became of the last attempt to read the configuration again. */
export interface ReloadOutcome {
  readonly outcome: 'applied' | 'unchanged' | 'rejected';
  /** What was wrong with it. */
  readonly error: string | null;
  readonly time: string;
}

/** What /metrics says of the configuration, its reloads and the plugins of the user's. */
export function configurationFamilies(
  generation: number,
  reloads: Readonly<Record<ReloadOutcome['outcome'], number>>,
  plugins: readonly PluginHealth[],
): Family[] {
  const perPlugin = (value: (health: PluginHealth) => number) => (): Sample[] =>
    plugins.map((health) => ({ labels: { plugin_type: health.type }, value: value(health) }));
  const outcomes = Object.entries(reloads).map(([outcome, value]) => ({ labels: { outcome }, value }));
  return [
    readAtScrape(['signalbox_config_generation'], 'The how-many-th policy since the start.', () => [
      { labels: {}, value: generation },
    ]),
    readAtScrape(
      ['signalbox_config_reloads_total'],
      'Configuration read again, by outcome.',
      () => outcomes,
      'counter',
      'first',
    ),
    readAtScrape(
      ['signalbox_plugin_failures_total'],
      'Runs of plugins of one’s own that threw or hung.',
      perPlugin(({ failures }) => failures),
      'counter',
    ),
    readAtScrape(
      ['signalbox_plugin_off'],
      '1 when the plugin was switched off.',
      perPlugin(({ off }) => (off === null ? 0 : 1)),
    ),
  ];
}
