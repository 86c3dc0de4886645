import { layOver, plainObject, type PlainObject } from '../lay-over.ts';
import { podLabels, type GivenRole, type Role } from './deployments.ts';
import { claimOf } from './placeholders.ts';
import type { RenderContext } from './render.ts';

/** How long what was sent to a pod may take to be answered once the pod is to end. */
const graceSeconds = { decode: 600, prefill: 120, epp: 60 } as const;

const user = { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 };

export function podDefaults(context: RenderContext, role: Role): PlainObject {
  const { names, imagePullSecrets } = context;
  return {
    terminationGracePeriodSeconds: graceSeconds[role],
    securityContext: { ...user, seccompProfile: { type: 'RuntimeDefault' } },
    serviceAccountName: role === 'epp' ? names.eppServiceAccount : names.serviceAccount,
    // Engines have nothing to ask the API for.
    automountServiceAccountToken: role === 'epp',
    ...(role === 'epp' ? { topologySpreadConstraints: spread(podLabels(context, role)) } : {}),
    ...(imagePullSecrets.length > 0 ? { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) } : {}),
  };
}

/** One node, or one zone, that is lost takes no more of several than it must. */
function spread(matchLabels: Record<string, string>): PlainObject[] {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    ...{ maxSkew: 1, topologyKey, whenUnsatisfiable: 'ScheduleAnyway' },
    labelSelector: { matchLabels },
  }));
}

/** Fills in what neither preset nor resource says of a container: the image, no rights, a root that cannot be written. */
export function withContainerDefaults(pod: PlainObject, context: RenderContext): PlainObject {
  const { image, imagePullPolicy } = context;
  const complete = (container: PlainObject): PlainObject => {
    const { mountModelVolume, ...rest } = container;
    const isOurs = rest['image'] === undefined;
    const defaults = {
      ...(isOurs ? { image, imagePullPolicy } : {}),
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: isOurs,
        capabilities: { drop: ['ALL'] },
      },
      ...(isOurs ? { volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }] } : {}),
    };
    const mount = mountModelVolume === true ? { volumeMounts: [{ name: 'models', mountPath: '/models' }] } : {};
    return withoutNamelessSecrets(layOver(layOver(defaults, mount), rest) as PlainObject);
  };
  return layOver(
    { volumes: [{ name: 'tmp', emptyDir: {} }] },
    {
      ...pod,
      containers: containersIn(pod, 'containers').map(complete),
      initContainers: containersIn(pod, 'initContainers').map(complete),
    },
  ) as PlainObject;
}

/** A token that nobody named a Secret for is left out. */
function withoutNamelessSecrets(container: PlainObject): PlainObject {
  const { env } = container;
  if (!Array.isArray(env)) return container;
  const isNameless = (entry: { valueFrom?: { secretKeyRef?: { name?: string } } }): boolean =>
    entry.valueFrom?.secretKeyRef?.name === '';
  return { ...container, env: env.filter((entry) => !isNameless(entry as object)) };
}

/** Tensor parallelism takes as many GPUs; accelerator types choose the nodes. */
export function withAccelerators(pod: PlainObject, { parallelism, acceleratorTypes }: GivenRole): PlainObject {
  const tensor = parallelism?.tensor ?? 1;
  const containers = containersIn(pod, 'containers').map((container) => {
    if (tensor === 1 || container['name'] !== 'vllm') return container;
    const args = [...((container['args'] as string[] | undefined) ?? []), '--tensor-parallel-size', String(tensor)];
    const resources = container['resources'] as { limits?: PlainObject; requests?: PlainObject } | undefined;
    const asksForGpus = resources?.limits?.['nvidia.com/gpu'] !== undefined;
    const gpus = { 'nvidia.com/gpu': String(tensor) };
    return {
      ...container,
      args,
      ...(asksForGpus ? { resources: layOver(resources, { limits: gpus, requests: gpus }) } : {}),
    };
  });
  const affinity = acceleratorTypes && {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          {
            matchExpressions: [
              { key: acceleratorTypes.labelKey, operator: 'In', values: acceleratorTypes.labelValues },
            ],
          },
        ],
      },
    },
  };
  return layOver({ ...pod, containers }, affinity === undefined ? {} : { affinity }) as PlainObject;
}

/** Weights in a claim take the place of the folder that they would be fetched into. */
export function withModel(pod: PlainObject, { modelService }: RenderContext): PlainObject {
  const found = claimOf(modelService.spec.modelArtifacts?.uri);
  const { volumes } = pod;
  const hasModels = Array.isArray(volumes) && volumes.some((volume: PlainObject) => volume['name'] === 'models');
  if (found === null || !hasModels) return pod;
  const claim = { name: 'models', persistentVolumeClaim: { claimName: found.claim, readOnly: true } };
  return layOver(pod, { volumes: [claim] }) as PlainObject;
}

function containersIn(pod: PlainObject, list: 'containers' | 'initContainers'): PlainObject[] {
  const all = pod[list];
  return Array.isArray(all) ? all.filter(plainObject) : [];
}
