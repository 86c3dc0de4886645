/** A kind of object, by which its path in the API is found. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

const kind = (apiVersion: string, name: string, plural: string): Kind => ({ apiVersion, kind: name, plural });

/** The kinds we read or write; all of them live in namespaces. */
export const kinds = {
  configMap: kind('v1', 'ConfigMap', 'configmaps'),
  event: kind('v1', 'Event', 'events'),
  pod: kind('v1', 'Pod', 'pods'),
  service: kind('v1', 'Service', 'services'),
  serviceAccount: kind('v1', 'ServiceAccount', 'serviceaccounts'),
  deployment: kind('apps/v1', 'Deployment', 'deployments'),
  podDisruptionBudget: kind('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  role: kind('rbac.authorization.k8s.io/v1', 'Role', 'roles'),
  roleBinding: kind('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings'),
  lease: kind('coordination.k8s.io/v1', 'Lease', 'leases'),
  modelService: kind('llm-d.ai/v1alpha1', 'ModelService', 'modelservices'),
  inferencePool: kind('inference.networking.k8s.io/v1', 'InferencePool', 'inferencepools'),
  httpRoute: kind('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes'),
  destinationRule: kind('networking.istio.io/v1', 'DestinationRule', 'destinationrules'),
  serviceMonitor: kind('monitoring.coreos.com/v1', 'ServiceMonitor', 'servicemonitors'),
} as const;

/** The path of one object, or of all of its kind when `name` is left out. */
export function pathOf({ apiVersion, plural }: Kind, namespace: string, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const one = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}${one}`;
}
