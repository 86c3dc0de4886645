import { kinds } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import type { RenderContext } from './render.ts';

/** The engines' identity. It has no rights. */
export function serviceAccount({ names }: RenderContext): KubernetesObject {
  return {
    apiVersion: kinds.serviceAccount.apiVersion,
    kind: kinds.serviceAccount.kind,
    metadata: { name: names.serviceAccount },
    automountServiceAccountToken: false,
  };
}

/** The endpoint picker's identity: it may see pods, its pool, objectives and model rewrites, in its own namespace. */
export function eppAccess({ names, modelService }: RenderContext): KubernetesObject[] {
  if (!modelService.spec.endpointPicker.enabled) return [];
  const name = names.eppServiceAccount;
  const read = { verbs: ['get', 'list', 'watch'] };
  return [
    { apiVersion: kinds.serviceAccount.apiVersion, kind: kinds.serviceAccount.kind, metadata: { name } },
    {
      apiVersion: kinds.role.apiVersion,
      kind: kinds.role.kind,
      metadata: { name },
      rules: [
        { apiGroups: [''], resources: ['pods'], ...read },
        { apiGroups: ['inference.networking.k8s.io'], resources: ['inferencepools'], ...read },
        {
          apiGroups: ['llm-d.ai', 'inference.networking.x-k8s.io'],
          resources: ['inferenceobjectives', 'inferencemodelrewrites'],
          ...read,
        },
      ],
    },
    {
      apiVersion: kinds.roleBinding.apiVersion,
      kind: kinds.roleBinding.kind,
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: modelService.namespace }],
    },
  ];
}
