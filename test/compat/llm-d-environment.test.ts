import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromEnvironment } from '../../src/compat/llm-d-environment.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';

function translated(environment: Record<string, string>): { weights: [string, number][]; warnings: readonly string[] } {
  const result = configFromEnvironment(environment);
  assert.ok(result !== null);
  const [profile] = policyFromConfig(result.config, 'environment').profiles.values();
  return { weights: profile!.scorers.map(({ type, weight }) => [type, weight]), warnings: result.warnings };
}

test('an environment without any of the switches says nothing', () => {
  assert.equal(configFromEnvironment({ PATH: '/bin', HF_TOKEN: 'secret', ENABLE_COLOR: 'true' }), null);
});

test("the chart's 20 names with the walkthrough's overrides: prefix 2, load 1, and no warning", () => {
  const chart: Record<string, string> = { PD_ENABLED: 'false', PD_PROMPT_LEN_THRESHOLD: '10' };
  for (const stage of ['', 'PREFILL_']) {
    for (const name of ['KVCACHE', 'LOAD', 'PREFIX', 'SESSION']) {
      chart[`${stage}ENABLE_${name}_AWARE_SCORER`] = 'false';
      chart[`${stage}${name}_AWARE_SCORER_WEIGHT`] = '1';
    }
  }
  const { weights, warnings } = translated({
    ...chart,
    PREFIX_AWARE_SCORER_WEIGHT: '2',
    ENABLE_PREFIX_AWARE_SCORER: 'true',
    ENABLE_LOAD_AWARE_SCORER: 'true',
  });
  assert.deepEqual(weights, [
    ['prefix-aware-scorer', 2],
    ['load-aware-scorer', 1],
  ]);
  assert.deepEqual(warnings, []);
});

test('all switches off: decode pods at random, as the original', () => {
  const { weights } = translated({ ENABLE_PREFIX_AWARE_SCORER: 'false', ENABLE_LOAD_AWARE_SCORER: 'false' });
  assert.deepEqual(weights, []);
});

test('the threshold of the load scorer is honoured', () => {
  const environment = { ENABLE_LOAD_AWARE_SCORER: 'true', LOAD_AWARE_SCORER_QUEUE_THRESHOLD: '16' };
  assert.deepEqual(configFromEnvironment(environment)!.config.plugins[1], {
    type: 'load-aware-scorer',
    parameters: { threshold: 16 },
  });
});

test('what cannot be honoured is accepted with a warning that says what happens', () => {
  const { weights, warnings } = translated({
    ENABLE_KVCACHE_AWARE_SCORER: 'true',
    KVCACHE_INDEXER_REDIS_ADDR: 'redis:8100',
    PREFILL_ENABLE_LOAD_AWARE_SCORER: 'true',
    PREFILL_ENABLE_KVCACHE_AWARE_SCORER: 'true',
    PREFIX_SCORER_CACHE_CAPACITY: '500000',
    ENABLE_GIE_LEAST_QUEUE_FILTER: 'true',
    DECODE_ENABLE_LOAD_AWARE_SCORER: 'true',
  });
  assert.deepEqual(weights, [['kvcache-aware-scorer', 1]]);
  assert.equal(warnings.length, 6);
  for (const warning of warnings) assert.match(warning, / has no effect(:| without PD_ENABLED=true)| is not read; /);
});

test('PD_ENABLED gives prefill a profile of its own, with the PREFILL_ scorers', () => {
  const environment = {
    PD_ENABLED: 'true',
    PD_PROMPT_LEN_THRESHOLD: '256',
    ENABLE_PREFIX_AWARE_SCORER: 'true',
    ENABLE_LOAD_AWARE_SCORER: 'true',
    PREFIX_AWARE_SCORER_WEIGHT: '2',
    PREFILL_ENABLE_LOAD_AWARE_SCORER: 'true',
    PREFILL_LOAD_AWARE_SCORER_WEIGHT: '3',
  };
  const { config, warnings } = configFromEnvironment(environment)!;
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.plugins.slice(0, 2), [
    { type: 'disagg-profile-handler', parameters: { deciders: { prefill: 'prefix-based-pd-decider' } } },
    { type: 'prefix-based-pd-decider', parameters: { nonCachedTokens: 256 } },
  ]);
  const refs = config.schedulingProfiles.map(({ name, plugins }) => [
    name,
    ...plugins.map(({ pluginRef, weight }) => (weight === undefined ? pluginRef : `${pluginRef} ${weight}`)),
  ]);
  assert.deepEqual(refs, [
    ['decode', 'decode-filter', 'prefix-aware-scorer 2', 'load-aware-scorer 1', 'max-score-picker'],
    ['prefill', 'prefill-filter', 'load-aware-scorer 3', 'max-score-picker'],
  ]);
  policyFromConfig(config, 'test');
});

test('misspelt names and wrong values are all named, with suggestions', () => {
  assert.throws(
    () =>
      configFromEnvironment({
        ENABLE_LAOD_AWARE_SCORER: 'true',
        PREFILL_ENABLE_PREFX_AWARE_SCORER: 'true',
        PD_PROMPT_LEN_THRESHOLD: 'ten',
        ENABLE_PREFIX_AWARE_SCORER: 'True',
        ENABLE_SESSION_AWARE_SCORER: '',
        LOAD_AWARE_SCORER_WEIGHT: 'two',
        LOAD_AWARE_SCORER_QUEUE_THRESHOLD: '0',
      }),
    (error: Error) => {
      assert.deepEqual(error.message.split('\n'), [
        'environment: unknown switch ENABLE_LAOD_AWARE_SCORER; did you mean "ENABLE_LOAD_AWARE_SCORER"?',
        'environment: unknown switch PREFILL_ENABLE_PREFX_AWARE_SCORER; did you mean "PREFILL_ENABLE_PREFIX_AWARE_SCORER"?',
        'environment: PD_PROMPT_LEN_THRESHOLD is "ten", expected a whole number of at least 0',
        'environment: ENABLE_PREFIX_AWARE_SCORER is "True", expected true or false',
        'environment: ENABLE_SESSION_AWARE_SCORER is "", expected true or false',
        'environment: LOAD_AWARE_SCORER_WEIGHT is "two", expected a number of at least 0',
        'environment: LOAD_AWARE_SCORER_QUEUE_THRESHOLD is "0", expected a number of at least 1',
      ]);
      return true;
    },
  );
});

test('the scorers of the Gateway API Inference Extension are switched on by their names', () => {
  const { config, warnings } = configFromEnvironment({
    ENABLE_GIE_QUEUE_SCORER: 'true',
    ENABLE_GIE_PREFIX_SCORER: 'true',
  })!;
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    config.schedulingProfiles[0]!.plugins.map(({ pluginRef }) => pluginRef),
    ['decode-filter', 'queue-scorer', 'prefix-cache-scorer', 'max-score-picker'],
  );
  assert.doesNotThrow(() => policyFromConfig(config, 'environment'));
});
