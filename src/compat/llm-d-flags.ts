/** A flag of theirs that means nothing here. It is taken, so that a pod's arguments need no change, and what is lost is said. */
export interface ForeignFlag {
  readonly name: string;
  /** Why it has no effect; null for what only concerns how they log. */
  readonly reason: string | null;
}

const logging = [
  'zap-devel',
  'zap-encoder',
  'zap-log-level',
  'zap-stacktrace-level',
  'zap-time-encoding',
  'add_dir_header',
  'alsologtostderr',
  'log-file-max-size',
  'log_backtrace_at',
  'log_dir',
  'log_file',
  'log_file_max_size',
  'logtostderr',
  'one_output',
  'skip_headers',
  'skip_log_headers',
  'stderrthreshold',
  'vmodule',
];

const withoutEffect: readonly (readonly [names: readonly string[], reason: string])[] = [
  [['pool-group'], 'InferencePools are those of inference.networking.k8s.io'],
  [['refresh-metrics-interval', 'refresh-prometheus-metrics-interval'], 'engines are asked as often as they need'],
  [['metrics-staleness-threshold'], 'a gauge counts for less as it ages, by itself'],
  [['enable-cert-reload'], 'certificate files are always reloaded'],
  [['health-checking'], 'engines are always checked'],
  [['metrics-client-ca-file', 'metrics-cert-dir'], 'the admin port has no TLS'],
  [['enable-pprof'], 'there is no pprof here'],
  [['allow-experimental-plugins'], 'no plugin needs it'],
  [['grpc-max-recv-msg-size'], '--max-body-bytes bounds what is taken'],
  [['emit-endpoint-scores'], 'the admin API has the scores of every decision'],
  [['disable-endpoint-subset-filter'], 'a subset that the gateway names is always kept to'],
  [['tls-min-version', 'tls-cipher-suites'], 'TLS is 1.2 or newer, with the ciphers that Node thinks safe'],
  [['grpc-max-send-msg-size'], 'messages are always within what Envoy takes'],
  [['enable-grpc-stream-metrics'], 'they are always there'],
  [
    [
      'cache-info-metric',
      'kv-cache-usage-percentage-metric',
      'lora-info-metric',
      'total-queued-requests-metric',
      'total-running-requests-metric',
    ],
    "engines' metrics are known by their own names",
  ],
];

/** Those of llm-d's endpoint picker, and of the lightweight one that Gateway API's conformance tests run. */
export const foreignFlags: readonly ForeignFlag[] = [
  ...logging.map((name) => ({ name, reason: null })),
  ...withoutEffect.flatMap(([names, reason]) => names.map((name) => ({ name, reason }))),
];

/** A switch as Go's flags have it: alone, or with `true`/`false`. Null when it is neither. */
export function goBoolean(text: string): boolean | null {
  if (/^(1|t|true)$/i.test(text)) return true;
  return /^(0|f|false)$/i.test(text) ? false : null;
}

/** A duration as Go's flags have it (`30s`, `1m30s`, `500ms`), in milliseconds. Null when it is none. */
export function goDurationMs(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return null;
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return [...text.matchAll(/([\d.]+)(ms|[smh])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * unitMs[unit as keyof typeof unitMs],
    0,
  );
}
