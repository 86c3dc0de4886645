import { z } from 'zod';
import { SignalboxError } from '../base/errors.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';

const container = z.looseObject({
  name: z.string(),
  args: z.array(z.string()).optional(),
  env: z.array(z.looseObject({ name: z.string() })).optional(),
});

const containers = z.array(container).default([]);

const role = z.object({
  replicas: z.int().min(0).default(1),
  containers,
  initContainers: containers,
  parallelism: z.object({ tensor: z.int().min(1).default(1) }).prefault({}),
  acceleratorTypes: z.object({ labelKey: z.string(), labelValues: z.array(z.string()) }).optional(),
  podSpec: z.record(z.string(), z.unknown()).default({}),
});

const spec = z.object({
  baseConfigMapRef: z.object({ name: z.string(), namespace: z.string().optional() }).optional(),
  routing: z.object({
    modelName: z.string(),
    servedModelNames: z.array(z.string()).default([]),
    gatewayRefs: z.array(z.looseObject({ name: z.string(), namespace: z.string().optional() })).default([]),
  }),
  modelArtifacts: z.object({ uri: z.string(), authSecretName: z.string().optional() }).optional(),
  decoupleScaling: z.boolean().default(false),
  metricsAuth: z.boolean().default(false),
  decode: role.prefault({}),
  prefill: role.optional(),
  endpointPicker: role
    .pick({ replicas: true, containers: true, initContainers: true, podSpec: true })
    .extend({ enabled: z.boolean().default(true) })
    .prefault({}),
});

type ModelServiceSpec = z.infer<typeof spec>;
export type RoleSpec = ModelServiceSpec['decode'];

/** A ModelService as we read it; the CustomResourceDefinition is the schema that its authors meet. */
export interface ModelService {
  readonly object: KubernetesObject;
  readonly name: string;
  readonly namespace: string;
  readonly spec: ModelServiceSpec;
}

/** @throws SignalboxError `config_invalid` */
export function readModelService(object: KubernetesObject): ModelService {
  const parsed = spec.safeParse(object['spec']);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = ['spec', ...(issue?.path ?? [])].join('.');
    throw new SignalboxError('config_invalid', `${path}: ${issue?.message ?? ''}`, { param: path });
  }
  const { name, namespace = 'default' } = object.metadata;
  return { object, name, namespace, spec: parsed.data };
}
