import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import type { EndpointPickerConfig } from '../scheduler/config.ts';

/**
 * The environment switches of llm-d-inference-scheduler 0.0.3 to 0.1.0 (the walkthrough's), as a table.
 * A scorer is on when `ENABLE_<name>_AWARE_SCORER` is true and weighs `<name>_AWARE_SCORER_WEIGHT`.
 */
const scorers = [
  { name: 'SESSION', type: 'session-affinity-scorer' },
  { name: 'PREFIX', type: 'prefix-aware-scorer' },
  { name: 'LOAD', type: 'load-aware-scorer' },
] as const;

const prefillComesLater = 'prefill and decode apart are not built yet; requests go to decode pods only';

/** Accepted, and what the user is told when they are switched on. */
const notYet: readonly { pattern: RegExp; message: string }[] = [
  {
    pattern: /^(PREFILL_)?(ENABLE_)?KVCACHE_AWARE_SCORER(_WEIGHT)?$/,
    message: 'the precise KV-cache scorer is not built yet; prefix-aware-scorer uses what is known of caches',
  },
  { pattern: /^(PREFILL_)?KVCACHE_INDEXER_REDIS_ADDR$/, message: 'no Redis is needed to know what is cached' },
  { pattern: /^(PREFILL_|DECODE_).*$/, message: prefillComesLater },
  { pattern: /^PD_ENABLED$/, message: prefillComesLater },
  { pattern: /^PD_PROMPT_LEN_THRESHOLD$/, message: prefillComesLater },
  {
    pattern: /^PREFIX_(SCORER_BLOCK_SIZE|SCORER_CACHE_BLOCK_SIZE|SCORER_CACHE_CAPACITY)$/,
    message: 'blocks of 64 characters and a bound in bytes are used instead',
  },
  { pattern: /^PREFIX_CACHE_.*$/, message: 'blocks of 64 characters and a bound in bytes are used instead' },
  { pattern: /^ENABLE_GIE_.*$/, message: 'name the plugin in an EndpointPickerConfig instead' },
];

const known = new Set([
  ...scorers.flatMap(({ name }) => [`ENABLE_${name}_AWARE_SCORER`, `${name}_AWARE_SCORER_WEIGHT`]),
  'LOAD_AWARE_SCORER_QUEUE_THRESHOLD',
  'ENABLE_KVCACHE_AWARE_SCORER',
  'KVCACHE_AWARE_SCORER_WEIGHT',
]);

/** What looks like one of these switches, so that a misspelt one is not passed over in silence. */
const looksLikeOurs =
  /_AWARE_SCORER|^(PREFILL_)?ENABLE_.*SCORER|^PD_|^PREFIX_SCORER_|^PREFIX_CACHE_|^(PREFILL_)?KVCACHE_/;

export interface Translated {
  readonly config: EndpointPickerConfig;
  /** One line each, for the log at start. */
  readonly warnings: readonly string[];
}

/**
 * The configuration that the switches in `environment` describe; null when there are none.
 * Throws `config_invalid` for a misspelt switch or a value that is neither true nor false.
 */
export function configFromEnvironment(environment: Readonly<Record<string, string | undefined>>): Translated | null {
  const switches = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && looksLikeOurs.test(entry[0]),
  );
  if (switches.length === 0) return null;

  const warnings: string[] = [];
  for (const [name, value] of switches) {
    if (name.startsWith('ENABLE_') || name === 'PD_ENABLED' || name.startsWith('PREFILL_ENABLE_'))
      readSwitch(name, value);
    if (known.has(name) && !name.includes('KVCACHE')) continue;
    const rule = notYet.find(({ pattern }) => pattern.test(name));
    if (rule === undefined) {
      throw new SignalboxError('config_invalid', `environment: unknown switch ${name}${didYouMean(name, known)}`, {
        param: name,
      });
    }
    const isOff = value === 'false' || value === '' || name.endsWith('_WEIGHT') || name === 'PD_PROMPT_LEN_THRESHOLD';
    if (!isOff) warnings.push(`${name}=${value}: ${rule.message}`);
  }

  const enabled = scorers.filter(({ name }) => {
    const value = environment[`ENABLE_${name}_AWARE_SCORER`];
    return value !== undefined && readSwitch(`ENABLE_${name}_AWARE_SCORER`, value);
  });
  const threshold = environment['LOAD_AWARE_SCORER_QUEUE_THRESHOLD'];
  return {
    warnings,
    config: {
      apiVersion: 'llm-d.ai/v1alpha1',
      kind: 'EndpointPickerConfig',
      plugins: [
        { type: 'decode-filter' },
        ...enabled.map(({ type }) =>
          type === 'load-aware-scorer' && threshold !== undefined
            ? { type, parameters: { threshold: readNumber('LOAD_AWARE_SCORER_QUEUE_THRESHOLD', threshold, 1) } }
            : { type },
        ),
        { type: 'max-score-picker' },
      ],
      schedulingProfiles: [
        {
          name: 'decode',
          plugins: [
            { pluginRef: 'decode-filter' },
            ...enabled.map(({ name, type }) => {
              const weightName = `${name}_AWARE_SCORER_WEIGHT`;
              return { pluginRef: type, weight: readNumber(weightName, environment[weightName] ?? '1', 0) };
            }),
            { pluginRef: 'max-score-picker' },
          ],
        },
      ],
    },
  };
}

function readSwitch(name: string, value: string): boolean {
  if (value === 'true') return true;
  if (value === 'false' || value === '') return false;
  throw new SignalboxError('config_invalid', `environment: ${name} is "${value}", expected true or false`, {
    param: name,
  });
}

function readNumber(name: string, value: string, least: number): number {
  const number = Number(value);
  if (value.trim() !== '' && Number.isFinite(number) && number >= least) return number;
  throw new SignalboxError(
    'config_invalid',
    `environment: ${name} is "${value}", expected a number of at least ${least}`,
    {
      param: name,
    },
  );
}
