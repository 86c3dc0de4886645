import { z } from 'zod';
import type { Logger } from '../../base/log.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { kinds, pathOf } from '../../kubernetes/kinds.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { watchCollection, type Watch } from '../../kubernetes/watch.ts';
import type { Discovery } from './discovery.ts';
import { discoverPods } from './kubernetes-pods.ts';

/** What we read of an InferencePool (https://gateway-api-inference-extension.sigs.k8s.io/reference/spec/). */
const poolSpec = z.object({
  selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
  targetPorts: z.array(z.object({ number: z.int().min(1).max(65535) })).min(1),
});

/** The pods of an InferencePool, as endpoints; follows the pool when its selector or ports change. */
export function discoverPool(
  client: KubernetesClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  log: Logger,
): Discovery {
  let watch: Watch | null = null;
  let pods: Discovery | null = null;
  let current: string | null = null;
  let isAbsent = false;
  return {
    start(found) {
      const follow = (pool: KubernetesObject | null): void => {
        const spec = pool === null ? null : poolSpec.safeParse(pool['spec']);
        if (spec?.success === false) {
          log.error({ pool: name }, `this InferencePool cannot be read: ${spec.error.issues[0]?.message ?? ''}`);
        }
        const data = spec?.success === true ? spec.data : null;
        const wanted = data === null ? '' : JSON.stringify(data);
        if (wanted === current) return;
        const isFirst = current === null;
        current = wanted;
        pods?.close();
        pods = null;
        if (data === null) {
          if (!isAbsent) log.warn({ pool: name, namespace }, 'there is no such InferencePool');
          // Whoever has not seen its pool yet is not ready; one whose pool goes has no endpoints any more.
          if (!isFirst) found([]);
          return;
        }
        const labelSelector = Object.entries(data.selector.matchLabels)
          .map(([key, value]) => `${key}=${value}`)
          .join(',');
        const targetPorts = data.targetPorts.map(({ number }) => number);
        pods = discoverPods(client, { namespace, labelSelector, targetPorts }, log);
        pods.start(found);
      };
      watch = watchCollection(
        client,
        { path: pathOf(kinds.inferencePool, namespace), fieldSelector: `metadata.name=${name}`, log },
        {
          replaced: ([pool]) => follow(pool ?? null),
          changed: follow,
          removed: () => follow(null),
          absent() {
            if (isAbsent) return;
            isAbsent = true;
            log.error(
              'this cluster has no InferencePool (inference.networking.k8s.io/v1): name the pods by labels instead',
            );
            follow(null);
          },
        },
      );
    },
    close() {
      watch?.close();
      pods?.close();
    },
  };
}
