import type { Logger } from '../../base/log.ts';
import { clusterAccess } from '../../kubernetes/access.ts';
import { KubernetesClient } from '../../kubernetes/client.ts';
import type { Discovery } from './discovery.ts';
import { discoverPool } from './inference-pool.ts';
import { discoverPods } from './kubernetes-pods.ts';

/** Which of a cluster's pods are endpoints: those that a selector names, or those of an InferencePool. */
export type KubernetesSource = {
  /** The one that the pod or the kubeconfig names, unless given. */
  readonly namespace?: string;
} & ({ readonly labelSelector: string; readonly targetPorts: readonly number[] } | { readonly pool: string });

/** Endpoints from the cluster that this process runs in, or that its kubeconfig names. @throws SignalboxError */
export async function discoverInKubernetes(source: KubernetesSource, log: Logger): Promise<Discovery> {
  const client = new KubernetesClient(await clusterAccess());
  const namespace = source.namespace ?? client.namespace;
  const discovery =
    'pool' in source
      ? discoverPool(client, { namespace, name: source.pool }, log)
      : discoverPods(client, { namespace, ...source }, log);
  return {
    ...discovery,
    close() {
      discovery.close();
      void client.close();
    },
  };
}
