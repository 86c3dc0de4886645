import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { kinds } from '../kubernetes/kinds.ts';
import type { ClusterFeatures } from './render/render.ts';

/** Kinds of others, there only where somebody installed them. */
export const optionalKinds = {
  inferencePool: kinds.inferencePool,
  httpRoute: kinds.httpRoute,
  destinationRule: kinds.destinationRule,
  serviceMonitor: kinds.serviceMonitor,
} satisfies Record<keyof ClusterFeatures, unknown>;

const firstDelayMs = 250;
const longestDelayMs = 5000;

/** What the cluster serves; asked until it answers. Null when `signal` has ended before. */
export async function featuresOf(
  client: KubernetesClient,
  log: Logger,
  signal: AbortSignal,
): Promise<ClusterFeatures | null> {
  for (let delayMs = firstDelayMs; !signal.aborted; delayMs = Math.min(longestDelayMs, delayMs * 2)) {
    try {
      const served = await Promise.all(
        Object.entries(optionalKinds).map(async ([feature, kind]) => [feature, await client.serves(kind)] as const),
      );
      return Object.fromEntries(served) as unknown as ClusterFeatures;
    } catch (error) {
      log.warn(`the API server does not say what it serves: ${messageOf(error)}`);
      await new Promise((done) => setTimeout(done, delayMs));
    }
  }
  return null;
}
