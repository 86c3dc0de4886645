import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { wallClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { EventRecorder } from '../kubernetes/events.ts';
import { kinds, pathOf, type Kind } from '../kubernetes/kinds.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { watchCollection } from '../kubernetes/watch.ts';
import { featuresOf, optionalKinds } from './features.ts';
import { Inventory } from './inventory.ts';
import type { ControllerMetrics } from './metrics.ts';
import { watchPresets } from './preset-watch.ts';
import { WorkQueue } from './queue.ts';
import { Reconciler } from './reconcile.ts';
import { managedBy, type ClusterFeatures, type RenderOptions } from './render/render.ts';

const workers = 4;
/** What is optional in a cluster may be installed later. */
const featuresEveryMs = 15_000;
const always: readonly Kind[] = [
  kinds.deployment,
  kinds.service,
  kinds.serviceAccount,
  kinds.role,
  kinds.roleBinding,
  kinds.podDisruptionBudget,
];
const ourLabel = Object.entries(managedBy)
  .map(([key, value]) => `${key}=${value}`)
  .join(',');

interface TermOptions extends Omit<RenderOptions, 'features'> {
  readonly namespace: string;
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
}

/**
 * One term of leadership, until `signal` ends: everything is read anew, so nothing of an earlier term can be stale. Begins
 * again when the kinds that the cluster has change.
 */
export async function lead(client: KubernetesClient, options: TermOptions, signal: AbortSignal): Promise<void> {
  const { log } = options;
  let features = await featuresOf(client, log, signal);
  while (features !== null) {
    const end = new AbortController();
    const stop = (): void => end.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) return;
    reconcileUntil(client, options, features, end.signal);
    const changed = await changedFeatures(client, features, log, signal);
    stop();
    signal.removeEventListener('abort', stop);
    if (changed !== null) log.info(changed, 'what the cluster has besides Kubernetes has changed: starting over');
    features = changed;
  }
}

/** Null when `signal` has ended. */
async function changedFeatures(
  client: KubernetesClient,
  before: ClusterFeatures,
  log: Logger,
  signal: AbortSignal,
): Promise<ClusterFeatures | null> {
  for (;;) {
    await sleep(featuresEveryMs, undefined, { signal }).catch(() => undefined);
    const now = await featuresOf(client, log, signal);
    if (now === null || !isDeepStrictEqual(now, before)) return now;
  }
}

/** Watches ModelServices, presets and what was made of them, and reconciles whatever changes. */
function reconcileUntil(
  client: KubernetesClient,
  { namespace, metrics, log, ...given }: TermOptions,
  features: ClusterFeatures,
  end: AbortSignal,
): void {
  const modelServices = new Map<string, KubernetesObject>();
  const nameByUid = new Map<string, string>();
  let listed = false;
  const queue = new WorkQueue(wallClock, workers, async (name) => {
    const object = modelServices.get(name);
    if (object === undefined || end.aborted) return;
    const startedMs = performance.now();
    try {
      await reconciler.reconcile(object);
      metrics.reconciled('success', performance.now() - startedMs);
    } catch (error) {
      metrics.reconciled('error', performance.now() - startedMs);
      if (!end.aborted) log.warn({ modelService: name }, `to be tried again: ${messageOf(error)}`);
      throw error;
    }
  });
  metrics.queue = queue;
  // Before the objects that exist are known, each would be taken for missing.
  const enqueue = (name: string | undefined): void => {
    if (listed && name !== undefined) queue.add(name);
  };
  const present = Object.entries(optionalKinds).filter(([feature]) => features[feature as keyof ClusterFeatures]);
  const inventory = new Inventory(
    client,
    namespace,
    [...always, ...present.map(([, kind]) => kind)],
    ourLabel,
    (uid) => enqueue(nameByUid.get(uid)),
    () => {
      listed = true;
      for (const name of modelServices.keys()) queue.add(name);
    },
    log,
  );
  const events = new EventRecorder(client, 'llm-d-modelservice', log);
  const reconciler = new Reconciler({ client, inventory, events, render: { ...given, features } });

  const take = (object: KubernetesObject): void => {
    const { name, uid = '' } = object.metadata;
    const before = modelServices.get(name);
    if (before?.metadata.uid !== undefined && before.metadata.uid !== uid) nameByUid.delete(before.metadata.uid);
    modelServices.set(name, object);
    nameByUid.set(uid, name);
    metrics.modelServices = modelServices.size;
    // Our own writing of its status is no reason to look again.
    if (before === undefined || before.metadata.generation !== object.metadata.generation) enqueue(name);
  };
  const drop = ({ metadata }: Pick<KubernetesObject, 'metadata'>): void => {
    const uid = modelServices.get(metadata.name)?.metadata.uid ?? '';
    modelServices.delete(metadata.name);
    nameByUid.delete(uid);
    reconciler.forget(uid);
    metrics.modelServices = modelServices.size;
  };
  const watcher = {
    replaced(objects: readonly KubernetesObject[]): void {
      const names = new Set(objects.map(({ metadata }) => metadata.name));
      for (const [name, object] of modelServices) if (!names.has(name)) drop(object);
      objects.forEach(take);
    },
    changed: take,
    removed: drop,
  };
  const presetChanged = (preset: string): void => {
    for (const [name, object] of modelServices) if (presetOf(object) === preset) enqueue(name);
  };
  const watches = [
    inventory,
    watchCollection(client, { path: pathOf(kinds.modelService, namespace), log }, watcher),
    watchPresets(client, namespace, presetChanged, log),
  ];
  const close = (): void => {
    queue.close();
    for (const watch of watches) watch.close();
  };
  end.addEventListener('abort', close, { once: true });
}

function presetOf(object: KubernetesObject): string | undefined {
  const spec = object['spec'] as { baseConfigMapRef?: { name?: string } } | undefined;
  return spec?.baseConfigMapRef?.name;
}
