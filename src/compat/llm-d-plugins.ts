import { flowControlLost, llmDFlowControl } from './llm-d-flow-control.ts';
import type { EndpointPickerConfig, ForeignNames, ForeignType } from '../scheduler/config.ts';

/**
 * Plugin types of llm-d's router (0.10) that are not built here under the same name and parameters, and what becomes of
 * each. Types that are in neither this table nor ours are misspelt.
 */

const only =
  (...names: string[]) =>
  (given: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
const none = only();

/** `by-label`: one label and the values it may have. */
function byLabel({ label, validValues, allowsNoLabel }: Record<string, unknown>): Record<string, unknown> {
  const values = Array.isArray(validValues) ? validValues : [];
  const operator = 'In';
  // Kubernetes' selectors cannot say "or without the label".
  if (allowsNoLabel === true) return { matchExpressions: `label ${String(label)} with allowsNoLabel` };
  return { matchExpressions: [{ key: label, operator, values }] };
}

const cacheKnowledge: ForeignType = { needless: 'what is cached where is always known here' };
const ownCount: ForeignType = { needless: 'requests and prefill in flight are always counted here' };
const gauges: ForeignType = { needless: 'gauges of vLLM, SGLang and llama.cpp are always read' };
const noMedia = 'media is not told apart from text yet';
const tenants = 'tenants share by the tokens they were served; flowControl.weights tells them apart';
const full = 'the fleet is full where no endpoint promises the first token within flowControl.ttftTargetSeconds';
const noEviction = 'a request that runs is not taken back';
const noPrediction =
  'there is no latency predictor; the policies least-added-wait and predicted-ttft go by learned speeds';
const noTopology = 'the place of an endpoint is not known; use header-label-affinity-scorer or label-selector-filter';
const noAttributes = 'endpoints have no free attributes; use utilization-filter for requests, queue and KV cache';
const sources = 'endpoints come from --endpoint, --endpoints-file, DNS or Kubernetes';
const everyPath: ForeignType = { needless: 'its paths are always understood' };

const table: Readonly<Record<string, ForeignType>> = {
  /* Filters */
  'by-label': {
    as: 'label-selector-filter',
    parameters: byLabel,
    note: 'deprecated there too; write label-selector-filter',
  },
  'by-label-selector': { as: 'label-selector-filter', note: 'deprecated there too; write label-selector-filter' },
  'encode-filter': { refused: noMedia },
  'slo-headroom-tier-filter': { refused: noPrediction },
  'endpoint-attribute-filter': { refused: noAttributes },
  'topology-affinity-filter': { refused: noTopology },
  'header-based-testing-filter': { needless: 'signalbox epp --conformance does what it is for' },
  /* Scorers */
  'kv-cache-scorer': { as: 'kv-cache-utilization-scorer', note: 'the old name; write kv-cache-utilization-scorer' },
  'precise-prefix-cache-scorer': {
    as: 'prefix-cache-scorer',
    parameters: none,
    note: 'deprecated there too; prefix-cache-scorer scores what is known to be cached, however it is known. Its parameters have no effect',
  },
  'latency-scorer': { refused: noPrediction },
  'mm-embeddings-cache-scorer': { refused: noMedia },
  'endpoint-attribute-scorer': { refused: noAttributes },
  'topology-affinity-scorer': { refused: noTopology },
  /* Profile handlers and deciders */
  'header-profile-handler': { refused: 'a header that clients may set does not choose the profile' },
  'data-parallel-profile-handler': {
    as: 'single-profile-handler',
    parameters: none,
    note: 'deprecated there too; each rank is an endpoint here (NAME-rank-N)',
  },
  'always-disagg-multimodal-decider': { refused: noMedia },
  'prefill-header-handler': { needless: 'the profile handler does it' },
  'disagg-headers-handler': { needless: 'the profile handler does it' },
  /* Producers: what plugins look at is there by itself */
  'token-producer': { needless: 'prompts are counted at the door' },
  tokenizer: { needless: 'prompts are counted at the door' },
  'approx-prefix-cache-producer': cacheKnowledge,
  'precise-prefix-cache-producer': cacheKnowledge,
  'burst-prefix-cache-producer': { needless: 'a pick counts as cached at once' },
  'inflight-load-producer': ownCount,
  'predicted-latency-producer': { needless: 'how fast each endpoint is, is learned from its answers' },
  'p2p-source-producer': { refused: 'caches are not fetched from peers other than a prefill endpoint' },
  'session-id-producer': { needless: 'sessions are told as session-affinity-scorer and -filter say' },
  'mm-embeddings-cache-producer': { refused: noMedia },
  /* Admission */
  'latency-slo-admitter': { needless: 'a request that no endpoint can answer within its target is refused at once' },
  'probabilistic-admitter': {
    refused: 'requests are not refused by chance; those that find no room wait by priority (flowControl)',
  },
  'disaggregatedset-rollout-screener': { refused: sources },
  'agent-identity': { refused: 'a tenant is named by x-llm-d-inference-fairness-id' },
  'request-attribute-reporter': { refused: 'usage is in the Decision and in /metrics' },
  'destination-endpoint-served-verifier': { needless: 'signalbox epp --conformance does what it is for' },
  'global-strict-fairness-policy': { needless: tenants },
  'round-robin-fairness-policy': { needless: tenants },
  'program-aware-fairness': { needless: tenants },
  'fcfs-ordering-policy': { needless: 'named by a band it becomes flowControl.order first-come' },
  'edf-ordering-policy': { needless: 'named by a band it becomes flowControl.order earliest-deadline' },
  'slo-deadline-ordering-policy': { needless: 'named by a band it becomes flowControl.order earliest-deadline' },
  'utilization-detector': { needless: full },
  'concurrency-detector': { needless: full },
  'static-usage-limit-policy': { needless: 'nothing is limited below all' },
  'priority-holdback-policy': { refused: 'higher priorities go first by themselves; flowControl.bands limits each' },
  'soft-reflective-ceiling-policy': {
    refused: 'higher priorities go first by themselves; flowControl.bands limits each',
  },
  'sheddable-eviction-filter': { refused: noEviction },
  'priority-then-time-eviction-order-policy': { refused: noEviction },
  /* Data layer */
  'metrics-data-source': gauges,
  'core-metrics-extractor': gauges,
  'models-data-source': { needless: 'models are always asked for' },
  'models-data-extractor': { needless: 'models are always asked for' },
  'dcgm-data-source': { refused: 'no plugin looks at GPU gauges' },
  'dcgm-extractor': { refused: 'no plugin looks at GPU gauges' },
  'topology-extractor': { refused: noTopology },
  'disaggregatedset-rollout-pod-extractor': { refused: sources },
  'k8s-notification-source': { needless: sources },
  'endpoint-notification-source': { needless: sources },
  'file-discovery': { refused: 'give its path to --endpoints-file, which takes its format' },
  /* Parsers */
  'openai-parser': everyPath,
  'passthrough-parser': everyPath,
  'anthropic-parser': { needless: 'its paths are placed by load' },
  'vllmhttp-parser': { needless: 'its paths are placed by load' },
  'sglanghttp-parser': { refused: 'only paths under /v1 are served' },
  'vllmgrpc-parser': { refused: 'gRPC to engines is not spoken' },
  'vertexai-parser': { refused: 'only paths under /v1 are served' },
};

const gates: Readonly<Record<string, string | null>> = {
  flowControl: null,
  haPopulateNonLeaderDatastore: null,
  dataLayer: null,
  prepareDataPlugins: null,
};

/** What a section asks for and does not get, by section. */
const sections: Readonly<Record<string, string>> = {
  dataLayer: 'gauges, models and caches are always known; endpoints come from flags, a file, DNS or Kubernetes',
  requestHandler: 'every path under /v1 is understood or placed by load',
  saturationDetector: full,
  parser: 'every path under /v1 is understood or placed by load',
};

function warnings(config: unknown): string[] {
  const {
    featureGates = [],
    flowControl = {},
    ...rest
  } = config as {
    featureGates?: string[];
    flowControl?: Record<string, unknown>;
  } & Record<string, unknown>;
  return [
    ...featureGates.flatMap((gate) => {
      const name = gate.replace(/=.*/, '');
      const known = gates[name];
      if (known === null) return [];
      return [`featureGates: ${gate} has no effect: ${known ?? 'there is no such gate'}`];
    }),
    ...Object.keys(flowControl).flatMap((key) =>
      flowControlLost[key] === undefined ? [] : [`flowControl.${key} has no effect: ${flowControlLost[key]}`],
    ),
    ...Object.entries(sections).flatMap(([name, why]) =>
      rest[name] === undefined ? [] : [`${name} has no effect: ${why}`],
    ),
  ];
}

export const llmDNames: ForeignNames = {
  types: new Map(Object.entries(table)),
  warnings,
  flowControl: llmDFlowControl,
};

/** What llm-d decides by when nothing is configured (`--compat llm-d`). */
export const llmDDefault: EndpointPickerConfig = {
  apiVersion: 'llm-d.ai/v1alpha1',
  kind: 'EndpointPickerConfig',
  plugins: [
    { type: 'queue-scorer' },
    { type: 'kv-cache-utilization-scorer' },
    { type: 'prefix-cache-scorer' },
    { type: 'max-score-picker' },
    { type: 'single-profile-handler' },
  ],
  schedulingProfiles: [
    {
      name: 'default',
      plugins: [
        { pluginRef: 'queue-scorer', weight: 2 },
        { pluginRef: 'kv-cache-utilization-scorer', weight: 2 },
        { pluginRef: 'prefix-cache-scorer', weight: 3 },
        { pluginRef: 'max-score-picker' },
      ],
    },
  ],
};
