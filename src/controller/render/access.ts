import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import type { RenderContext } from './render.ts';

const read = { verbs: ['get', 'list', 'watch'] };
const pods = { apiGroups: [''], resources: ['pods'], ...read };
const inferencePools = { apiGroups: ['inference.networking.k8s.io'], resources: ['inferencepools'], ...read };
const objects = {
  apiGroups: ['llm-d.ai', 'inference.networking.x-k8s.io'],
  resources: ['inferenceobjectives', 'inferencemodelrewrites'],
  ...read,
};

/**
 * The engines' identity. It has no rights, but where prompts are computed apart: routing proxies beside decode engines
 * look up which pods compute them. Nothing else in these pods is given the identity's token.
 */
export function engineAccess({ names, modelService }: RenderContext): KubernetesObject[] {
  const name = names.serviceAccount;
  const account = {
    apiVersion: kinds.serviceAccount.apiVersion,
    kind: kinds.serviceAccount.kind,
    metadata: { name },
    automountServiceAccountToken: false,
  };
  if (modelService.spec.prefill === undefined) return [account];
  return [account, ...granted(name, modelService.namespace, [pods, inferencePools])];
}

/** The endpoint picker's identity: it may see pods, its pool, objectives and model rewrites, in its own namespace. */
export function eppAccess({ names, modelService }: RenderContext): KubernetesObject[] {
  if (!modelService.spec.endpointPicker.enabled) return [];
  const name = names.eppServiceAccount;
  return [
    { apiVersion: kinds.serviceAccount.apiVersion, kind: kinds.serviceAccount.kind, metadata: { name } },
    ...granted(name, modelService.namespace, [pods, inferencePools, objects]),
  ];
}

/** The rules for the service account of this name. */
function granted(name: string, namespace: string, rules: readonly object[]): KubernetesObject[] {
  return [
    { apiVersion: kinds.role.apiVersion, kind: kinds.role.kind, metadata: { name }, rules },
    {
      apiVersion: kinds.roleBinding.apiVersion,
      kind: kinds.roleBinding.kind,
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    },
  ];
}
