import { SignalboxError } from '../base/errors.ts';
import { didYouMean } from '../base/suggest.ts';
import type { EndpointPickerConfig } from '../scheduler/config.ts';

/**
 * The environment switches of llm-d-inference-scheduler 0.0.3 to 0.1.0 (the walkthrough's), as a table.
 * A scorer is on when `ENABLE_<name>_AWARE_SCORER` is true, and weighs `<name>_AWARE_SCORER_WEIGHT` (1); with
 * `PREFILL_` in front where the prompt is computed, once `PD_ENABLED` has prefill and decode apart.
 */
const scorers = [
  { name: 'SESSION', type: 'session-affinity-scorer' },
  { name: 'PREFIX', type: 'prefix-aware-scorer' },
  { name: 'KVCACHE', type: 'kvcache-aware-scorer' },
  { name: 'LOAD', type: 'load-aware-scorer' },
] as const;

/** Scorers of the Gateway API Inference Extension that 0.1.0 takes as well: `ENABLE_GIE_<name>`, weight 1. */
const gieScorers = [
  { name: 'KVCACHE_UTILIZATION_SCORER', type: 'kv-cache-utilization-scorer' },
  { name: 'QUEUE_SCORER', type: 'queue-scorer' },
  { name: 'PREFIX_SCORER', type: 'prefix-cache-scorer' },
] as const;

const stages = [
  { profile: 'decode', prefix: '', filter: 'decode-filter' },
  { profile: 'prefill', prefix: 'PREFILL_', filter: 'prefill-filter' },
] as const;

const loadThreshold = 'LOAD_AWARE_SCORER_QUEUE_THRESHOLD';
const pdEnabled = 'PD_ENABLED';
/** The original compared it with bytes of the prompt; here it is tokens. */
const pdThreshold = 'PD_PROMPT_LEN_THRESHOLD';
const defaultPdThreshold = 10;

/** Switches and numbers that have nothing to switch here, and what their user is told. */
const withoutEffect: readonly { switches: readonly string[]; values: readonly string[]; message: string }[] = [
  {
    switches: [],
    values: ['KVCACHE_INDEXER_REDIS_ADDR', 'PREFILL_KVCACHE_INDEXER_REDIS_ADDR'],
    message: 'what engines have cached is known from their KV events; no Redis is needed',
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
      ].map((name) => `${stage}ENABLE_GIE_${name}`),
    ),
    values: [],
    message: 'there is no such filter here: scorers see the same, and drop nobody',
  },
];

const perScorer = (name: (stage: string, scorer: string) => string): string[] =>
  stages.flatMap(({ prefix }) => scorers.map((scorer) => name(prefix, scorer.name)));
const ownSwitches = [
  pdEnabled,
  ...perScorer((prefix, name) => `${prefix}ENABLE_${name}_AWARE_SCORER`),
  ...stages.flatMap(({ prefix }) => gieScorers.map(({ name }) => `${prefix}ENABLE_GIE_${name}`)),
];
const weights = perScorer((prefix, name) => `${prefix}${name}_AWARE_SCORER_WEIGHT`);
const numbers = [...weights, loadThreshold, pdThreshold];
const switches = new Set([...ownSwitches, ...withoutEffect.flatMap((row) => row.switches)]);
const values = new Set([...numbers, ...withoutEffect.flatMap((row) => row.values)]);

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

  return {
    warnings: [...given].flatMap(([name, value]) => warningOf(name, value, given) ?? []),
    config: configOf(given),
  };
}

function configOf(given: ReadonlyMap<string, string>): EndpointPickerConfig {
  const isSplit = given.get(pdEnabled) === 'true';
  const profiles = (isSplit ? stages : stages.slice(0, 1)).map(({ profile, prefix, filter }) => ({
    profile,
    filter,
    enabled: [
      ...scorers
        .filter(({ name }) => given.get(`${prefix}ENABLE_${name}_AWARE_SCORER`) === 'true')
        .map(({ name, type }) => ({ type, weight: Number(given.get(`${prefix}${name}_AWARE_SCORER_WEIGHT`) ?? 1) })),
      ...gieScorers
        .filter(({ name }) => given.get(`${prefix}ENABLE_GIE_${name}`) === 'true')
        .map(({ type }) => ({ type, weight: 1 })),
    ],
  }));
  const types = new Set(profiles.flatMap(({ filter, enabled }) => [filter, ...enabled.map(({ type }) => type)]));
  const threshold = given.get(loadThreshold);
  return {
    apiVersion: 'llm-d.ai/v1alpha1',
    kind: 'EndpointPickerConfig',
    plugins: [
      ...(isSplit ? splitPlugins(Number(given.get(pdThreshold) ?? defaultPdThreshold)) : []),
      ...[...types].map((type) =>
        type === 'load-aware-scorer' && threshold !== undefined
          ? { type, parameters: { threshold: Number(threshold) } }
          : { type },
      ),
      { type: 'max-score-picker' },
    ],
    schedulingProfiles: profiles.map(({ profile, filter, enabled }) => ({
      name: profile,
      plugins: [
        { pluginRef: filter },
        ...enabled.map(({ type, weight }) => ({ pluginRef: type, weight })),
        { pluginRef: 'max-score-picker' },
      ],
    })),
  };
}

function splitPlugins(threshold: number): EndpointPickerConfig['plugins'] {
  const type = 'prefix-based-pd-decider';
  // Nothing asks for a threshold of 0: everything is apart then, which the decider would take as "off".
  return [
    { type: 'disagg-profile-handler', parameters: { deciders: { prefill: type } } },
    { type, parameters: { nonCachedTokens: Math.max(1, threshold) } },
  ];
}

function problemOf(name: string, value: string): string | null {
  if (switches.has(name)) {
    return value === 'true' || value === 'false' ? null : `environment: ${name} is "${value}", expected true or false`;
  }
  if (numbers.includes(name)) {
    const least = name === loadThreshold ? 1 : 0;
    const pattern = name === pdThreshold ? /^\d+$/ : /^\d+(\.\d+)?$/;
    const isNumber = pattern.test(value) && Number(value) >= least;
    const kind = name === pdThreshold ? 'a whole number' : 'a number';
    return isNumber ? null : `environment: ${name} is "${value}", expected ${kind} of at least ${least}`;
  }
  // No version ever read a DECODE_ name, yet published examples set them.
  if (values.has(name) || name.startsWith('DECODE_')) return null;
  return `environment: unknown switch ${name}${didYouMean(name, [...switches, ...values])}`;
}

function warningOf(name: string, value: string, given: ReadonlyMap<string, string>): string | null {
  if (name.startsWith('DECODE_')) return `${name} is not read; the names without DECODE_ are meant for decode pods`;
  if (
    name.startsWith('PREFILL_') &&
    value === 'true' &&
    ownSwitches.includes(name) &&
    given.get(pdEnabled) !== 'true'
  ) {
    return `${name}=${value} has no effect without ${pdEnabled}=true`;
  }
  const row = withoutEffect.find((each) => each.switches.includes(name) || each.values.includes(name));
  if (row === undefined) return null;
  // What is off asks for nothing, and a number or an address alone neither.
  const isAskedFor = row.switches.includes(name)
    ? value === 'true'
    : row.switches.length === 0 || row.switches.some((each) => given.get(each) === 'true');
  return isAskedFor ? `${name}=${value} has no effect: ${row.message}` : null;
}
