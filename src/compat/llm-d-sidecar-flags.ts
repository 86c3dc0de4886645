import type { ForeignFlag } from './llm-d-flags.ts';

const logging = [
  'zap-devel',
  'zap-encoder',
  'zap-log-level',
  'zap-stacktrace-level',
  'zap-time-encoding',
  'v',
  'logtostderr',
];

/**
 * Flags of llm-d's routing sidecar that mean something there and nothing here. Those not listed ask for what is not
 * there, and are refused.
 */
export const foreignSidecarFlags: readonly ForeignFlag[] = [
  ...logging.map((name) => ({ name, reason: null })),
  { name: 'pool-group', reason: 'the pool is told by --endpoints-file or --prefill-endpoint' },
  { name: 'prefill-max-retries', reason: 'another endpoint is tried once, then the engine here computes the prompt' },
  { name: 'prefill-retry-backoff', reason: 'another endpoint is tried at once' },
  { name: 'max-idle-conns-per-host', reason: 'connections are kept for as long as they are of use' },
  { name: 'tracing', reason: "spans are the picker's or the gateway's; their context is handed on to the engine" },
];
