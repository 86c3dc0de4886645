import type { Inventory } from './inventory.ts';
import { kinds } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import type { ModelService } from './model-service.ts';
import { namesOf } from './names.ts';
import type { ClusterFeatures } from './render/render.ts';
import { routedCondition } from './routed.ts';

interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export type NewCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

interface DeploymentStatus {
  readonly replicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
}

/** What went wrong before objects could be made or while they were; null when all of them are as they should be. */
export interface Trouble {
  readonly reason: string;
  readonly message: string;
}

/** A ModelService's status, from what the cluster says of its Deployments. Pure but for `now`, used where a condition turns. */
export function statusOf(
  modelService: ModelService,
  inventory: Pick<Inventory, 'find'>,
  features: ClusterFeatures,
  made: readonly KubernetesObject[],
  trouble: Trouble | null,
  now: string,
): Record<string, unknown> {
  const { spec, object } = modelService;
  const names = namesOf(modelService);
  const look = (name: string): DeploymentStatus =>
    (inventory.find(kinds.deployment, name)?.status ?? {}) as DeploymentStatus;
  const roles = [
    { label: 'Decode', status: look(names.decode), replicas: spec.decode.replicas },
    ...(spec.prefill === undefined
      ? []
      : [{ label: 'Prefill', status: look(names.prefill), replicas: spec.prefill.replicas }]),
    ...(spec.endpointPicker.enabled
      ? [{ label: 'Epp', status: look(names.epp), replicas: spec.endpointPicker.replicas }]
      : []),
  ].map((role) => {
    const decoupled = spec.decoupleScaling && role.label !== 'Epp';
    const wanted = decoupled ? (role.status.replicas ?? 0) : role.replicas;
    return { ...role, wanted, ready: role.status.readyReplicas ?? 0 };
  });
  const applied: NewCondition =
    trouble === null
      ? {
          type: 'Applied',
          status: 'True',
          reason: 'Applied',
          message: 'Every object is as it should be.',
        }
      : { type: 'Applied', status: 'False', ...trouble };
  const available = roles.map(({ label, wanted, ready, status }) => availability(label, wanted, ready, status));
  const routed = routedCondition(modelService, inventory, features);
  const conditions = [applied, ...available, ...(routed === null ? [] : [routed])];
  const firstBad = conditions.find(({ status }) => status !== 'True');
  const ready: NewCondition =
    firstBad === undefined
      ? { type: 'Ready', status: 'True', reason: 'Ready', message: 'The model is served.' }
      : { type: 'Ready', status: 'False', reason: firstBad.reason, message: firstBad.message };
  const count = (label: string): { readonly [key: string]: unknown } => {
    const role = roles.find((candidate) => candidate.label === label);
    const key = label.toLowerCase();
    return {
      [`${key}Ready`]: role === undefined ? null : `${role.ready}/${role.wanted}`,
      [`${key}Available`]: role === undefined ? null : (role.status.availableReplicas ?? 0),
    };
  };
  return {
    observedGeneration: object.metadata.generation ?? 0,
    decodeReplicas: look(names.decode).replicas ?? 0,
    decodeSelector: `llm-d.ai/inferenceServing=true,llm-d.ai/model=${names.model},llm-d.ai/role=decode`,
    ...count('Decode'),
    ...count('Prefill'),
    ...count('Epp'),
    objects: made.map(({ kind, metadata }) => ({ kind, name: metadata.name })),
    conditions: turned(object, [ready, ...conditions], now),
  };
}

function availability(label: string, wanted: number, ready: number, status: DeploymentStatus): NewCondition {
  const type = `${label}Available`;
  const failing = status.conditions?.find(
    (condition) =>
      (condition.type === 'ReplicaFailure' && condition.status === 'True') ||
      (condition.type === 'Progressing' && condition.status === 'False'),
  );
  if (ready >= wanted && wanted > 0) {
    return { type, status: 'True', reason: 'AllReady', message: `All ${wanted} pods are ready.` };
  }
  if (wanted === 0) return { type, status: 'True', reason: 'ScaledToZero', message: 'No pod is wanted.' };
  if (failing !== undefined) {
    const message = `${ready} of ${wanted} pods are ready: ${failing.message ?? ''}`;
    return { type, status: 'False', reason: failing.reason ?? 'Failing', message };
  }
  return {
    type,
    status: 'False',
    reason: 'PodsNotReady',
    message: `${ready} of ${wanted} ${label.toLowerCase()} pods are ready.`,
  };
}

/** The conditions with the times at which they turned, kept where they did not. */
function turned(object: KubernetesObject, conditions: readonly NewCondition[], now: string): Condition[] {
  const before = ((object['status'] ?? {}) as { conditions?: readonly Condition[] }).conditions ?? [];
  return conditions.map((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    return {
      ...condition,
      lastTransitionTime: old?.status === condition.status ? old.lastTransitionTime : now,
      observedGeneration: object.metadata.generation ?? 0,
    };
  });
}
