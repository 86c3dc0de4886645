import { canonicalAddress } from '../base/address.ts';
import type { Logger } from '../base/log.ts';
import type { Discovery } from '../fleet/discovery/discovery.ts';
import { discoverFromFile } from '../fleet/discovery/endpoints-file.ts';
import type { KubernetesSource } from '../fleet/discovery/kubernetes.ts';
import type { Allows } from './requested-prefill.ts';

/** Where prompts may be sent: nowhere else, whatever a request's headers say. */
export interface PoolOptions {
  /** Addresses, `host:port`. */
  readonly prefillEndpoints?: readonly string[];
  /** A file that lists endpoints and is watched. */
  readonly endpointsFile?: string;
  /** Pods of the cluster, in this one's namespace. */
  readonly pods?: { readonly labelSelector: string; readonly targetPorts: readonly number[] };
  /** An InferencePool of the cluster, `namespace/name` or a name in this pod's namespace. */
  readonly inferencePool?: string;
  /** Anywhere at all: whoever reaches the sidecar can then make it send requests to any address. */
  readonly anywhere?: boolean;
}

interface Pool {
  readonly allows: Allows;
  close(): void;
}

/** Keeps the list of addresses, address and port, that may compute prompts. @throws SignalboxError without a cluster */
export async function watchPool(options: PoolOptions, log: Logger): Promise<Pool> {
  const { prefillEndpoints = [], endpointsFile, pods, inferencePool, anywhere = false } = options;
  if (anywhere) log.warn('prompts are sent to any address that a request names');
  const discoveries: Discovery[] = endpointsFile === undefined ? [] : [discoverFromFile(endpointsFile, log)];
  if (pods !== undefined) discoveries.push(await discoverInCluster(pods, log));
  if (inferencePool !== undefined) discoveries.push(await discoverInCluster(poolNamed(inferencePool), log));
  const found = [canonical(prefillEndpoints)];
  for (const discovery of discoveries) {
    const at = found.push(new Set()) - 1;
    discovery.start((endpoints) => {
      found[at] = canonical(endpoints.map(({ address }) => address));
    });
  }
  return {
    allows: (address) => anywhere || found.some((addresses) => addresses.has(address)),
    close: () => discoveries.forEach((discovery) => discovery.close()),
  };
}

async function discoverInCluster(source: KubernetesSource, log: Logger): Promise<Discovery> {
  const { discoverInKubernetes } = await import('../fleet/discovery/kubernetes.ts');
  return discoverInKubernetes(source, log);
}

function poolNamed(text: string): KubernetesSource {
  const [pool = text, namespace] = text.split('/').reverse();
  return { pool, ...(namespace === undefined ? {} : { namespace }) };
}

function canonical(addresses: readonly string[]): ReadonlySet<string> {
  return new Set(addresses.flatMap((address) => canonicalAddress(address) ?? []));
}
