import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { inferenceObjectVersions } from '../compat/inference-object-versions.ts';
import type { KubernetesSource } from '../fleet/discovery/kubernetes.ts';
import { clusterAccess } from '../kubernetes/access.ts';
import { KubernetesClient } from '../kubernetes/client.ts';
import { pathOf, type Kind } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { watchCollection, type Watch } from '../kubernetes/watch.ts';
import { readInferenceObject, type InferenceObject } from './inference-objects.ts';

/** What each kind is for, in the words of somebody whose cluster lacks it. */
const kinds = [
  {
    kind: 'InferenceObjective',
    plural: 'inferenceobjectives',
    without: 'priorities come from files and headers alone',
  },
  {
    kind: 'InferenceModelRewrite',
    plural: 'inferencemodelrewrites',
    without: 'models are rewritten by files and headers alone',
  },
] as const;

/** Tells of the objects of a cluster. */
export interface ClusterObjects {
  /** Calls `found` with all that can be read, at first and after every change; what cannot be read is in the log. */
  start(found: (objects: readonly InferenceObject[]) => void): void;
  close(): void;
}

/**
 * The InferenceObjectives and InferenceModelRewrites of a namespace, under every group and version that the cluster has
 * them in. @throws SignalboxError when there is no way to a cluster
 */
export async function clusterObjects(source: KubernetesSource, log: Logger): Promise<ClusterObjects> {
  const client = new KubernetesClient(await clusterAccess());
  const namespace = source.namespace ?? client.namespace;
  const watches: Watch[] = [];
  return {
    start(found) {
      const objects = new Map<string, InferenceObject>();
      const tell = (): void => found([...objects.values()]);
      for (const { kind, plural, without } of kinds) {
        const absent = new Set<string>();
        for (const apiVersion of inferenceObjectVersions) {
          const isAbsent = (): void => {
            const before = absent.size;
            absent.add(apiVersion);
            if (absent.size === before || absent.size < inferenceObjectVersions.length) return;
            log.info(`this cluster has no ${kind}: ${without}`);
          };
          watches.push(watchKind(client, namespace, { apiVersion, kind, plural }, objects, tell, isAbsent, log));
        }
      }
    },
    close() {
      for (const watch of watches) watch.close();
      void client.close();
    },
  };
}

function watchKind(
  client: KubernetesClient,
  namespace: string,
  kind: Kind,
  objects: Map<string, InferenceObject>,
  tell: () => void,
  isAbsent: () => void,
  log: Logger,
): Watch {
  const prefix = `${kind.apiVersion} ${kind.kind} `;
  const drop = (): void =>
    [...objects.keys()].filter((key) => key.startsWith(prefix)).forEach((key) => objects.delete(key));
  // Lists leave out of each item what they say once for all.
  const take = (object: KubernetesObject): void => {
    const { apiVersion, kind: name } = kind;
    try {
      objects.set(prefix + object.metadata.name, readInferenceObject({ ...object, apiVersion, kind: name }));
    } catch (error) {
      objects.delete(prefix + object.metadata.name);
      log.error(`${messageOf(error)} (it is left out)`);
    }
  };
  const watcher = {
    replaced(all: readonly KubernetesObject[]): void {
      drop();
      all.forEach(take);
      tell();
    },
    changed(object: KubernetesObject): void {
      take(object);
      tell();
    },
    removed({ metadata }: KubernetesObject): void {
      objects.delete(prefix + metadata.name);
      tell();
    },
    absent(): void {
      drop();
      tell();
      isAbsent();
    },
  };
  return watchCollection(client, { path: pathOf(kind, namespace), log }, watcher);
}
