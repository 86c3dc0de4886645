import type { Logger } from '../base/log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { kinds, pathOf } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { watchCollection, type Watch } from '../kubernetes/watch.ts';
import { looksLikePreset } from './presets.ts';

/** Tells the names of a namespace's ConfigMaps that are, or were, presets, whenever they change. */
export function watchPresets(
  client: KubernetesClient,
  namespace: string,
  changed: (name: string) => void,
  log: Logger,
): Watch {
  const known = new Map<string, string>();
  const take = ({ metadata, ...map }: KubernetesObject): void => {
    const isPreset = looksLikePreset((map['data'] ?? {}) as Record<string, string>);
    const version = metadata.resourceVersion ?? '';
    if ((!isPreset && !known.has(metadata.name)) || known.get(metadata.name) === version) return;
    if (isPreset) known.set(metadata.name, version);
    else known.delete(metadata.name);
    changed(metadata.name);
  };
  const drop = (name: string): void => {
    if (known.delete(name)) changed(name);
  };
  const watcher = {
    replaced(all: readonly KubernetesObject[]): void {
      const present = new Set(all.map(({ metadata }) => metadata.name));
      for (const name of [...known.keys()]) if (!present.has(name)) drop(name);
      all.forEach(take);
    },
    changed: take,
    removed: ({ metadata }: KubernetesObject): void => drop(metadata.name),
  };
  return watchCollection(client, { path: pathOf(kinds.configMap, namespace), log }, watcher);
}
