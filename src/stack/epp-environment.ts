import type { Values } from './values.ts';

/** The scheduler's switches as the chart has them when a values file says nothing. */
const defaultEppEnvironment: Readonly<Record<string, string>> = {
  ENABLE_KVCACHE_AWARE_SCORER: 'false',
  KVCACHE_AWARE_SCORER_WEIGHT: '1',
  ENABLE_PREFIX_AWARE_SCORER: 'true',
  PREFIX_AWARE_SCORER_WEIGHT: '2',
  ENABLE_LOAD_AWARE_SCORER: 'true',
  LOAD_AWARE_SCORER_WEIGHT: '1',
  ENABLE_SESSION_AWARE_SCORER: 'false',
  SESSION_AWARE_SCORER_WEIGHT: '1',
  PD_ENABLED: 'false',
  PD_PROMPT_LEN_THRESHOLD: '10',
  PREFILL_ENABLE_KVCACHE_AWARE_SCORER: 'false',
  PREFILL_KVCACHE_AWARE_SCORER_WEIGHT: '1',
  PREFILL_ENABLE_LOAD_AWARE_SCORER: 'false',
  PREFILL_LOAD_AWARE_SCORER_WEIGHT: '1',
  PREFILL_ENABLE_PREFIX_AWARE_SCORER: 'false',
  PREFILL_PREFIX_AWARE_SCORER_WEIGHT: '1',
  PREFILL_ENABLE_SESSION_AWARE_SCORER: 'false',
  PREFILL_SESSION_AWARE_SCORER_WEIGHT: '1',
};

/** The EPP's environment: the chart's defaults, then `defaultEnvVars`, its override and `endpointPicker.env`, by name. */
export function eppEnvironment(values: Values): Record<string, string> {
  const environment: Record<string, string> = {};
  if (values.modelservice.epp.defaultEnvVars === undefined) Object.assign(environment, defaultEppEnvironment);
  for (const entry of [
    ...(values.modelservice.epp.defaultEnvVars ?? []),
    ...values.modelservice.epp.defaultEnvVarsOverride,
    ...values.sampleApplication.endpointPicker.env,
  ]) {
    environment[entry.name] = entry.value ?? '';
  }
  return environment;
}
