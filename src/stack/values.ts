import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { fileError, readYaml, validate, type FileIssue } from '../base/yaml.ts';
import { configFromEnvironment } from '../compat/llm-d-environment.ts';

/** Pod shapes: assets/presets/ has those that Kubernetes can run. In the one with nixl, engines hand caches to each other. */
const presets = ['basic-gpu-preset', 'basic-gpu-with-nixl-preset', 'basic-sim-preset'] as const;

/** Content that only means something to Kubernetes or Helm; its inside is not ours to check. */
const opaque = z.unknown();

const environmentEntries = z.array(
  z.strictObject({
    name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected an environment variable name'),
    value: z.union([z.string(), z.number(), z.boolean()]).transform(String).optional(),
    valueFrom: opaque.optional(),
  }),
);

const role = z
  .strictObject({
    replicas: z.int().min(0).max(64).default(1),
    extraArgs: z.array(z.union([z.string(), z.number()]).transform(String)).default([]),
  })
  .prefault({});

const modelArtifactUri = z
  .string()
  .regex(
    /^(hf:\/\/[^/\s]+\/[^/\s]+|pvc:\/\/[^/\s]+\/\S+)$/,
    'expected hf://ORGANISATION/REPOSITORY or pvc://CLAIM/PATH',
  );

const image = opaque.optional();

/** Workload settings that Kubernetes alone reads. */
const placement = {
  affinity: opaque.optional(),
  nodeSelector: opaque.optional(),
  tolerations: opaque.optional(),
  topologySpreadConstraints: opaque.optional(),
  podAnnotations: opaque.optional(),
  podLabels: opaque.optional(),
  podSecurityContext: opaque.optional(),
  containerSecurityContext: opaque.optional(),
  resources: opaque.optional(),
};

const named = { nameOverride: opaque.optional(), fullnameOverride: opaque.optional(), annotations: opaque.optional() };

/** What a values file may hold; the chart's values.schema.json is made from it (`npm run docs`). */
export const valuesSchema = z.strictObject({
  sampleApplication: z
    .strictObject({
      enabled: z.boolean().default(true),
      baseConfigMapRefName: z.enum(presets).default('basic-gpu-preset'),
      model: z
        .strictObject({
          modelArtifactURI: modelArtifactUri.default('hf://meta-llama/Llama-3.2-3B-Instruct'),
          modelName: z
            .string()
            .regex(/^[^\s]*[A-Za-z0-9][^\s]*$/, 'expected a name without spaces')
            .max(256)
            .default('meta-llama/Llama-3.2-3B-Instruct'),
          servedModelNames: z.array(z.string().min(1)).default([]),
          auth: z.strictObject({ hfToken: opaque.optional() }).optional(),
        })
        .prefault({}),
      resources: opaque.optional(),
      inferencePoolPort: z.int().min(1).max(65535).default(8000),
      prefill: role,
      decode: role,
      endpointPicker: z.strictObject({ env: environmentEntries.default([]) }).prefault({}),
    })
    .prefault({}),
  gateway: z
    .strictObject({
      ...named,
      enabled: z.boolean().default(true),
      gatewayClassName: z.string().min(1).optional(),
      serviceType: z.enum(['NodePort', 'ClusterIP', 'LoadBalancer']).optional(),
      replicas: z.int().min(0).optional(),
      keysSecret: z.string().optional(),
      shareSecret: z.string().optional(),
      image,
      listeners: z
        .array(z.looseObject({ name: z.string(), port: z.int().min(1).max(65535) }))
        .min(1)
        .optional(),
      gatewayParameters: opaque.optional(),
      kGatewayParameters: z.strictObject({ proxyUID: opaque.optional() }).optional(),
    })
    .prefault({}),
  ingress: z
    .strictObject({
      ...named,
      enabled: z.boolean().optional(),
      host: z.string().optional(),
      ingressClassName: z.string().optional(),
      path: z.string().optional(),
      pathType: z.string().optional(),
      tls: opaque.optional(),
      selfSigned: opaque.optional(),
      extraHosts: opaque.optional(),
      extraTls: opaque.optional(),
      clusterRouterBase: z.string().optional(),
    })
    .optional(),
  modelservice: z
    .strictObject({
      ...named,
      ...placement,
      enabled: z.boolean().default(true),
      replicas: z.int().min(0).optional(),
      image,
      epp: z
        .strictObject({
          ...placement,
          image,
          replicas: z.int().min(0).max(16).optional(),
          metrics: z.looseObject({ authenticated: z.boolean().optional() }).optional(),
          defaultEnvVars: environmentEntries.optional(),
          defaultEnvVarsOverride: environmentEntries.default([]),
        })
        .prefault({}),
      prefill: z.strictObject(placement).optional(),
      decode: z.strictObject(placement).optional(),
      vllm: z
        .strictObject({
          image,
          metrics: opaque.optional(),
          logLevel: z.enum(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']).default('INFO'),
        })
        .prefault({}),
      routingProxy: z.strictObject({ image }).optional(),
      inferenceSimulator: z.strictObject({ image }).optional(),
      metrics: opaque.optional(),
      service: opaque.optional(),
      serviceAccount: opaque.optional(),
      rbac: opaque.optional(),
    })
    .prefault({}),
  networkPolicy: z.strictObject({ enabled: z.boolean().optional() }).optional(),
  redis: z.looseObject({ enabled: z.boolean().default(false) }).prefault({}),
  test: z.looseObject({ enabled: z.boolean().optional() }).optional(),
  global: opaque.optional(),
  kubeVersion: opaque.optional(),
  clusterDomain: opaque.optional(),
  nameOverride: opaque.optional(),
  fullnameOverride: opaque.optional(),
  commonLabels: opaque.optional(),
  commonAnnotations: opaque.optional(),
  extraDeploy: opaque.optional(),
});

/** A values file with every default filled in. */
export type Values = z.infer<typeof valuesSchema>;

/** What a values file may say that has no meaning when everything runs as processes of one machine. */
const notUsedLocally: readonly string[] = [
  'sampleApplication.model.auth',
  'sampleApplication.resources',
  'sampleApplication.inferencePoolPort',
  'gateway.gatewayClassName',
  'gateway.serviceType',
  'gateway.replicas',
  'gateway.keysSecret',
  'gateway.shareSecret',
  'gateway.image',
  'gateway.annotations',
  'gateway.listeners',
  'gateway.kGatewayParameters',
  'gateway.gatewayParameters',
  'ingress',
  'modelservice.replicas',
  'modelservice.epp.replicas',
  'modelservice.image',
  'modelservice.resources',
  'modelservice.epp.image',
  'modelservice.epp.metrics',
  'modelservice.prefill',
  'modelservice.decode',
  'modelservice.vllm.image',
  'modelservice.vllm.metrics',
  'modelservice.routingProxy',
  'modelservice.inferenceSimulator',
  'modelservice.metrics',
  'modelservice.service',
  'modelservice.serviceAccount',
  'modelservice.rbac',
  'networkPolicy',
  'redis',
  'test',
  'global',
  'kubeVersion',
  'clusterDomain',
  'commonLabels',
  'commonAnnotations',
  'extraDeploy',
];

interface ValuesFile {
  readonly values: Values;
  /** Keys that the file sets and a local stack has no use for, dotted. */
  readonly notUsed: readonly string[];
}

/** Reads a values file for Kubernetes, where everything in it has a meaning. Throws as `parseValues` does. */
export function readValues(text: string, fileName: string): Values {
  const file = readYaml(text, fileName);
  return validate(file, valuesSchema, file.value ?? {});
}

/** Parses a values file for this machine. Throws `config_invalid` that lists every issue with file, line, column and a suggestion. */
export function parseValues(text: string, fileName: string): ValuesFile {
  const file = readYaml(text, fileName);
  const given = file.value ?? {};
  const values = validate(file, valuesSchema, given);
  const issues: FileIssue[] = [];
  const wrong = (path: (string | number)[], message: string) => issues.push({ at: file.at(path), message });

  if (!values.sampleApplication.enabled) {
    wrong(
      ['sampleApplication', 'enabled'],
      'sampleApplication.enabled: false leaves no model to serve; set it to true',
    );
  }
  if (values.sampleApplication.decode.replicas === 0) {
    wrong(['sampleApplication', 'decode', 'replicas'], 'decode.replicas: 0 leaves no pod that answers; set at least 1');
  }
  if (!values.gateway.enabled) {
    wrong(['gateway', 'enabled'], 'gateway.enabled: false leaves no way in; set it to true');
  }
  if (!values.modelservice.enabled) {
    wrong(['modelservice', 'enabled'], 'modelservice.enabled: false leaves nothing to start the pods; set it to true');
  }
  const places: [(string | number)[], z.infer<typeof environmentEntries>][] = [
    [['modelservice', 'epp', 'defaultEnvVars'], values.modelservice.epp.defaultEnvVars ?? []],
    [['modelservice', 'epp', 'defaultEnvVarsOverride'], values.modelservice.epp.defaultEnvVarsOverride],
    [['sampleApplication', 'endpointPicker', 'env'], values.sampleApplication.endpointPicker.env],
  ];
  for (const [path, entries] of places) {
    for (const [index, entry] of entries.entries()) {
      if (entry.valueFrom !== undefined) {
        wrong([...path, index, 'valueFrom'], 'valueFrom needs Kubernetes; write a plain value');
        continue;
      }
      const problem = switchProblem(entry.name, entry.value ?? '');
      if (problem !== null) wrong([...path, index], problem);
    }
  }
  if (issues.length > 0) throw fileError(issues);
  const notUsed = notUsedLocally.filter((path) => holds(given, path.split('.')));
  return { values, notUsed: values.redis.enabled ? notUsed : notUsed.filter((path) => path !== 'redis') };
}

/** What the scheduler would say about one of its switches at start. */
function switchProblem(name: string, value: string): string | null {
  try {
    configFromEnvironment({ [name]: value });
    return null;
  } catch (error) {
    return messageOf(error).replace(/^environment: /, '');
  }
}

function holds(value: unknown, path: readonly string[]): boolean {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return false;
    current = (current as Record<string, unknown>)[key];
  }
  return true;
}
