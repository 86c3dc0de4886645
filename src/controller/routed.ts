import type { Inventory } from './inventory.ts';
import { kinds } from '../kubernetes/kinds.ts';
import type { ModelService } from './model-service.ts';
import { namesOf } from './names.ts';
import type { ClusterFeatures } from './render/render.ts';
import type { NewCondition } from './status.ts';

interface ParentStatus {
  readonly parentRef?: { readonly name?: string; readonly namespace?: string };
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

const type = 'Routed';

/** Whether the Gateways that a ModelService names lead to it, as far as their controllers have said; null where it names none. */
export function routedCondition(
  modelService: ModelService,
  inventory: Pick<Inventory, 'find'>,
  features: ClusterFeatures,
): NewCondition | null {
  const { gatewayRefs } = modelService.spec.routing;
  if (gatewayRefs.length === 0) return null;
  const missing = [
    ...(features.inferencePool ? [] : ['InferencePool (inference.networking.k8s.io/v1)']),
    ...(features.httpRoute ? [] : ['HTTPRoute (gateway.networking.k8s.io/v1)']),
  ];
  if (missing.length > 0) {
    const message = `This cluster has no ${missing.join(' and no ')}: no gateway leads to this model.`;
    return { type, status: 'False', reason: 'NotInstalled', message };
  }
  const { httpRoute, inferencePool } = namesOf(modelService);
  const route = parentsOf(inventory.find(kinds.httpRoute, httpRoute)?.status);
  const pool = parentsOf(inventory.find(kinds.inferencePool, inferencePool)?.status);
  for (const { name, namespace } of gatewayRefs) {
    const isGateway = ({ parentRef }: ParentStatus): boolean =>
      parentRef?.name === name && (parentRef.namespace ?? namespace) === namespace;
    const said = [...route, ...pool].filter(isGateway).flatMap(({ conditions = [] }) => conditions);
    const refused = said.find(({ status }) => status === 'False');
    if (refused !== undefined) {
      const message = `Gateway ${name}: ${refused.type} is False: ${refused.message ?? ''}`;
      return { type, status: 'False', reason: 'Refused', message };
    }
    const isAccepted = route
      .filter(isGateway)
      .some(({ conditions = [] }) =>
        conditions.some((condition) => condition.type === 'Accepted' && condition.status === 'True'),
      );
    if (!isAccepted) {
      const message = `Nobody has said yet that Gateway ${name} takes the HTTPRoute ${httpRoute}.`;
      return { type, status: 'Unknown', reason: 'Waiting', message };
    }
  }
  const names = gatewayRefs.map(({ name }) => name).join(', ');
  return { type, status: 'True', reason: 'Accepted', message: `Requests come in by Gateway ${names}.` };
}

function parentsOf(status: unknown): readonly ParentStatus[] {
  return (status as { parents?: readonly ParentStatus[] } | undefined)?.parents ?? [];
}
