import type { Logger } from '../../base/log.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { kinds, pathOf } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { watchCollection, type Watch } from '../../kubernetes/watch.ts';
import type { Discovery, FoundEndpoint } from './discovery.ts';

interface PodsOptions {
  readonly namespace: string;
  /** As kubectl has it: `llm-d.ai/model=x,llm-d.ai/role!=prefill`. */
  readonly labelSelector: string;
  /** Each pod has one endpoint at each of these ports. */
  readonly targetPorts: readonly number[];
}

/** The pods that a selector names, as endpoints. */
export function discoverPods(client: KubernetesClient, options: PodsOptions, log: Logger): Discovery {
  const { namespace, labelSelector, targetPorts } = options;
  const pods = new Map<string, readonly FoundEndpoint[]>();
  let watch: Watch | null = null;
  return {
    start(found) {
      const tell = (): void => found([...pods.values()].flat());
      const take = (pod: KubernetesObject): void => void pods.set(pod.metadata.name, endpointsOf(pod, targetPorts));
      watch = watchCollection(
        client,
        { path: pathOf(kinds.pod, namespace), labelSelector, log },
        {
          replaced(all) {
            pods.clear();
            all.forEach(take);
            tell();
          },
          changed(pod) {
            take(pod);
            tell();
          },
          removed({ metadata }) {
            pods.delete(metadata.name);
            tell();
          },
        },
      );
    },
    close: () => watch?.close(),
  };
}

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

/**
 * A pod's endpoints: none before it has an address and after it has ended. Not ready while Kubernetes says that it is
 * not, and from the moment it is to end, though it may still finish what it has.
 */
export function endpointsOf(pod: KubernetesObject, targetPorts: readonly number[]): FoundEndpoint[] {
  const { phase, podIP, conditions } = (pod['status'] ?? {}) as PodStatus;
  if (podIP === undefined || podIP === '' || phase === 'Succeeded' || phase === 'Failed') return [];
  const { name, labels = {}, deletionTimestamp } = pod.metadata;
  const isReady = conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  const host = podIP.includes(':') ? `[${podIP}]` : podIP;
  return targetPorts.map((port, rank) => ({
    name: targetPorts.length === 1 ? name : `${name}-rank-${rank}`,
    address: `${host}:${port}`,
    labels,
    ready: isReady && deletionTimestamp === undefined,
  }));
}
