import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import type { EndpointPickerConfig } from '../scheduler/config.ts';

/**
 * The environment switches of llm-d-inference-scheduler 0.0.3 to 0.1.0 (the walkthrough's), as a table.
 * A scorer is on when `ENABLE_<name>_AWARE_SCORER` is true, and weighs `<name>_AWARE_SCORER_WEIGHT` (1).
 */
const scorers = [
  { name: 'SESSION', type: 'session-affinity-scorer' },
  { name: 'PREFIX', type: 'prefix-aware-scorer' },
  { name: 'LOAD', type: 'load-aware-scorer' },
] as const;

const loadThreshold = 'LOAD_AWARE_SCORER_QUEUE_THRESHOLD';

/** Switches and numbers that have nothing to switch here, and what their user is told. */
const withoutEffect: readonly { switches: readonly string[]; values: readonly string[]; message: string }[] = [
  {
    switches: ['ENABLE_KVCACHE_AWARE_SCORER', 'PREFILL_ENABLE_KVCACHE_AWARE_SCORER'],
    values: [
      'KVCACHE_AWARE_SCORER_WEIGHT',
      'PREFILL_KVCACHE_AWARE_SCORER_WEIGHT',
      'KVCACHE_INDEXER_REDIS_ADDR',
      'PREFILL_KVCACHE_INDEXER_REDIS_ADDR',
    ],
    message: 'the scorer of exact KV-cache contents is not there yet and needs no Redis; nothing is scored by it',
  },
  {
    switches: ['PD_ENABLED', ...scorers.map(({ name }) => `PREFILL_ENABLE_${name}_AWARE_SCORER`)],
    values: ['PD_PROMPT_LEN_THRESHOLD', ...scorers.map(({ name }) => `PREFILL_${name}_AWARE_SCORER_WEIGHT`)],
    message: 'prefill and decode apart is not there yet; decode pods do both',
  },
  {
    switches: [],
    values: [
      'PREFIX_SCORER_BLOCK_SIZE',
      'PREFIX_SCORER_CACHE_BLOCK_SIZE',
      'PREFIX_SCORER_CACHE_CAPACITY',
      'PREFIX_CACHE_HASH_BLOCK_SIZE',
      'PREFIX_CACHE_MAX_PREFIX_BLOCKS',
      'PREFIX_CACHE_LRU_CAPACITY',
    ],
    message: 'prompts are kept in blocks of 64 characters within a bound in bytes instead',
  },
  {
    switches: ['', 'PREFILL_'].flatMap((stage) =>
      [
        'LEAST_KVCACHE_FILTER',
        'LEAST_QUEUE_FILTER',
        'LORA_AFFINITY_FILTER',
        'LOW_QUEUE_FILTER',
        'SHEDDABLE_CAPACITY_FILTER',
        'KVCACHE_UTILIZATION_SCORER',
        'QUEUE_SCORER',
        'PREFIX_SCORER',
      ].map((name) => `${stage}ENABLE_GIE_${name}`),
    ),
    values: [],
    message: 'this plugin is not there yet',
  },
];

const scorerSwitches = scorers.map(({ name }) => `ENABLE_${name}_AWARE_SCORER`);
const scorerNumbers = [...scorers.map(({ name }) => `${name}_AWARE_SCORER_WEIGHT`), loadThreshold];
const switches = new Set([...scorerSwitches, ...withoutEffect.flatMap((row) => row.switches)]);
const values = new Set([...scorerNumbers, ...withoutEffect.flatMap((row) => row.values)]);

/** What looks like one of these names, so that a misspelt one is not passed over in silence. */
const looksLikeOurs =
  /_AWARE_|^(PREFILL_|DECODE_)?ENABLE_.*(SCORER|FILTER)|^(PREFILL_)?(PD|KVCACHE)_|^PREFIX_(SCORER|CACHE)_/;

interface Translated {
  readonly config: EndpointPickerConfig;
  /** One line each, for the log at start. */
  readonly warnings: readonly string[];
}

/**
 * The configuration that the switches in `environment` describe; null when there are none. With all of them off it is
 * the original's: decode pods, picked at random.
 * Throws `config_invalid` naming every misspelt switch and every value that is not what the switch takes.
 */
export function configFromEnvironment(environment: Readonly<Record<string, string | undefined>>): Translated | null {
  const given = new Map<string, string>();
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && looksLikeOurs.test(name)) given.set(name, value);
  }
  if (given.size === 0) return null;

  const problems = [...given].flatMap(([name, value]) => problemOf(name, value) ?? []);
  if (problems.length > 0) {
    throw new SignalboxError('config_invalid', problems.join('\n'), { param: 'environment' });
  }

  const enabled = scorers.filter(({ name }) => given.get(`ENABLE_${name}_AWARE_SCORER`) === 'true');
  const threshold = given.get(loadThreshold);
  return {
    warnings: [...given].flatMap(([name, value]) => warningOf(name, value, given) ?? []),
    config: {
      apiVersion: 'llm-d.ai/v1alpha1',
      kind: 'EndpointPickerConfig',
      plugins: [
        { type: 'decode-filter' },
        ...enabled.map(({ name, type }) =>
          name === 'LOAD' && threshold !== undefined
            ? { type, parameters: { threshold: Number(threshold) } }
            : { type },
        ),
        { type: 'max-score-picker' },
      ],
      schedulingProfiles: [
        {
          name: 'decode',
          plugins: [
            { pluginRef: 'decode-filter' },
            ...enabled.map(({ name, type }) => ({
              pluginRef: type,
              weight: Number(given.get(`${name}_AWARE_SCORER_WEIGHT`) ?? 1),
            })),
            { pluginRef: 'max-score-picker' },
          ],
        },
      ],
    },
  };
}

function problemOf(name: string, value: string): string | null {
  if (switches.has(name)) {
    return value === 'true' || value === 'false' ? null : `environment: ${name} is "${value}", expected true or false`;
  }
  if (scorerNumbers.includes(name)) {
    const least = name === loadThreshold ? 1 : 0;
    const isNumber = /^\d+(\.\d+)?$/.test(value) && Number(value) >= least;
    return isNumber ? null : `environment: ${name} is "${value}", expected a number of at least ${least}`;
  }
  // No version ever read a DECODE_ name, yet published examples set them.
  if (values.has(name) || name.startsWith('DECODE_')) return null;
  return `environment: unknown switch ${name}${didYouMean(name, [...switches, ...values])}`;
}

function warningOf(name: string, value: string, given: ReadonlyMap<string, string>): string | null {
  if (name.startsWith('DECODE_')) return `${name} is not read; the names without DECODE_ are meant for decode pods`;
  const row = withoutEffect.find((each) => each.switches.includes(name) || each.values.includes(name));
  if (row === undefined) return null;
  // What is off asks for nothing, and a number or an address alone neither.
  const isAskedFor = row.switches.includes(name)
    ? value === 'true'
    : row.switches.length === 0 || row.switches.some((each) => given.get(each) === 'true');
  return isAskedFor ? `${name}=${value} has no effect: ${row.message}` : null;
}
