import type { Logger } from '../base/log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { pathOf, type Kind } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { watchCollection, type Watch } from '../kubernetes/watch.ts';

/** Kinds whose status is told on. */
const told = new Set(['Deployment', 'HTTPRoute', 'InferencePool']);

/** What is kept of an object that we made: enough to see that it is there, whose it is, and how it fares. */
interface Kept {
  readonly kind: Kind;
  readonly name: string;
  /** Uid of the ModelService it was made for. */
  readonly owner: string;
  /** Changes with every change of what somebody wants of it; not with its status, where it has a generation. */
  readonly revision: string;
  readonly status: unknown;
}

/** The objects in a namespace that carry our label, as the API server tells of them. */
export class Inventory {
  readonly #objects = new Map<string, Kept>();
  readonly #watches: Watch[] = [];
  readonly #changed: (ownerUid: string) => void;
  #unlisted: number;

  constructor(
    client: KubernetesClient,
    namespace: string,
    watched: readonly Kind[],
    labelSelector: string,
    changed: (ownerUid: string) => void,
    listed: () => void,
    log: Logger,
  ) {
    this.#changed = changed;
    this.#unlisted = watched.length;
    for (const kind of watched) {
      let isFirst = true;
      const watcher = {
        replaced: (objects: readonly KubernetesObject[]): void => {
          const present = new Set(objects.map(({ metadata }) => keyOf(kind, metadata.name)));
          for (const [key, kept] of this.#objects) {
            if (kept.kind === kind && !present.has(key)) this.#drop(key);
          }
          for (const object of objects) this.#take(kind, object);
          if (isFirst && --this.#unlisted === 0) listed();
          isFirst = false;
        },
        changed: (object: KubernetesObject): void => this.#take(kind, object),
        removed: ({ metadata }: KubernetesObject): void => this.#drop(keyOf(kind, metadata.name)),
      };
      this.#watches.push(watchCollection(client, { path: pathOf(kind, namespace), labelSelector, log }, watcher));
    }
  }

  find(kind: Kind, name: string): Kept | undefined {
    return this.#objects.get(keyOf(kind, name));
  }

  ownedBy(owner: string): Kept[] {
    return [...this.#objects.values()].filter((kept) => kept.owner === owner);
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  #take(kind: Kind, object: KubernetesObject): void {
    const key = keyOf(kind, object.metadata.name);
    const kept = keep(kind, object);
    if (kept === null) return this.#drop(key);
    this.#objects.set(key, kept);
    this.#changed(kept.owner);
  }

  #drop(key: string): void {
    const kept = this.#objects.get(key);
    this.#objects.delete(key);
    if (kept !== undefined) this.#changed(kept.owner);
  }
}

/** Null for an object that no ModelService controls. */
export function keep(kind: Kind, { metadata, status }: KubernetesObject): Kept | null {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (owner?.kind !== 'ModelService') return null;
  const { name, generation, resourceVersion, labels } = metadata;
  const revision = generation === undefined ? (resourceVersion ?? '') : `${generation} ${JSON.stringify(labels)}`;
  return { kind, name, owner: owner.uid, revision, status: told.has(kind.kind) ? status : null };
}

function keyOf(kind: Kind, name: string): string {
  return `${kind.kind}/${name}`;
}
