import type { Server } from 'node:http';
import { wallClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { clusterAccess } from '../kubernetes/access.ts';
import { KubernetesClient } from '../kubernetes/client.ts';
import { EventRecorder } from '../kubernetes/events.ts';
import { kinds, pathOf, type Kind } from '../kubernetes/kinds.ts';
import { holdLease } from '../kubernetes/lease.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { watchCollection } from '../kubernetes/watch.ts';
import { ControllerMetrics } from './metrics.ts';
import { Inventory } from './inventory.ts';
import { looksLikePreset } from './presets.ts';
import { WorkQueue } from './queue.ts';
import { Reconciler } from './reconcile.ts';
import { managedBy, type ClusterFeatures, type RenderOptions } from './render/render.ts';
import { serveHealth } from './health.ts';

interface ControllerOptions {
  /** Only ModelServices of this namespace are looked after; its own by default. */
  readonly namespace?: string;
  readonly identity: string;
  readonly leaderElect: boolean;
  readonly leaseSeconds?: number;
  readonly host: string;
  /** Of /healthz, /readyz and /metrics. */
  readonly port: number;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  readonly log: Logger;
}

const leaseName = 'llm-d-modelservice';
const workers = 4;
/** What is optional in a cluster may be installed later. */
const featuresEveryMs = 60_000;
const optional = {
  inferencePool: kinds.inferencePool,
  httpRoute: kinds.httpRoute,
  serviceMonitor: kinds.serviceMonitor,
};
const always: readonly Kind[] = [
  kinds.deployment,
  kinds.service,
  kinds.serviceAccount,
  kinds.role,
  kinds.roleBinding,
  kinds.podDisruptionBudget,
];

/** Looks after the ModelServices of a namespace until `signal` ends. @throws SignalboxError when there is no way to the cluster */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { log, leaderElect, identity } = options;
  const client = new KubernetesClient(await clusterAccess());
  const namespace = options.namespace ?? client.namespace;
  const metrics = new ControllerMetrics();
  let health: Server | null = null;
  try {
    health = await serveHealth(options, metrics);
    log.info({ namespace, port: options.port }, 'looking after the ModelServices of this namespace');
    const lead = (term: AbortSignal): void => {
      metrics.leading = true;
      term.addEventListener('abort', () => (metrics.leading = false), { once: true });
      void leadUntil(client, namespace, options, metrics, term);
    };
    if (leaderElect) {
      const durationSeconds = options.leaseSeconds ?? 15;
      await holdLease(client, { namespace, name: leaseName, identity, durationSeconds, log }, lead, signal);
    } else {
      lead(signal);
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    }
  } finally {
    health?.close();
    health?.closeAllConnections();
    await client.close();
  }
}

/** One term of leadership: everything is read anew, so nothing of an earlier term can be stale. */
async function leadUntil(
  client: KubernetesClient,
  namespace: string,
  options: ControllerOptions,
  metrics: ControllerMetrics,
  term: AbortSignal,
): Promise<void> {
  const { log, image, imagePullPolicy, imagePullSecrets } = options;
  const modelServices = new Map<string, KubernetesObject>();
  const nameByUid = new Map<string, string>();
  const features = await featuresOf(client, log, term);
  if (features === null) return;
  const render = (): RenderOptions => ({ features, image, imagePullPolicy, imagePullSecrets });

  let listed = false;
  const queue = new WorkQueue(wallClock, workers, async (name) => {
    const object = modelServices.get(name);
    if (object === undefined || term.aborted) return;
    const startedMs = performance.now();
    try {
      await reconciler.reconcile(object);
      metrics.reconciled('success', performance.now() - startedMs);
    } catch (error) {
      metrics.reconciled('error', performance.now() - startedMs);
      if (!term.aborted) log.warn({ modelService: name }, `to be tried again: ${messageOf(error)}`);
      throw error;
    }
  });
  metrics.queue = queue;
  // Before the objects that exist are known, each would be taken for missing.
  const enqueue = (name: string | undefined): void => {
    if (listed && name !== undefined) queue.add(name);
  };
  const watchedKinds = [
    ...always,
    ...Object.entries(optional)
      .filter(([feature]) => features[feature as keyof ClusterFeatures])
      .map(([, kind]) => kind),
  ];
  const inventory = new Inventory(
    client,
    namespace,
    watchedKinds,
    Object.entries(managedBy)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    (uid) => enqueue(nameByUid.get(uid)),
    () => {
      listed = true;
      for (const name of modelServices.keys()) queue.add(name);
    },
    log,
  );
  const events = new EventRecorder(client, 'llm-d-modelservice', log);
  const reconciler = new Reconciler({ client, inventory, events, render });

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
  const watches = [
    watchCollection(
      client,
      { path: pathOf(kinds.modelService, namespace), log },
      {
        replaced(objects) {
          const present = new Set(objects.map(({ metadata }) => metadata.name));
          for (const [name, object] of modelServices) if (!present.has(name)) drop(object);
          objects.forEach(take);
        },
        changed: take,
        removed: drop,
      },
    ),
    watchCollection(
      client,
      { path: pathOf(kinds.configMap, namespace), log },
      presetWatcher((preset) => {
        for (const [name, object] of modelServices) if (presetOf(object) === preset) enqueue(name);
      }),
    ),
  ];
  const timer = setInterval(() => {
    void (async () => {
      const now = await featuresOf(client, log, term);
      if (now === null || JSON.stringify(now) === JSON.stringify(features)) return;
      log.info(now, 'what the cluster has besides Kubernetes has changed: starting over');
      end();
      await leadUntil(client, namespace, options, metrics, term);
    })();
  }, featuresEveryMs);
  const end = (): void => {
    clearInterval(timer);
    term.removeEventListener('abort', end);
    queue.close();
    inventory.close();
    for (const watch of watches) watch.close();
  };
  if (term.aborted) end();
  else term.addEventListener('abort', end, { once: true });
}

/** What the cluster serves; asked until it answers. Null when the term has ended before. */
async function featuresOf(client: KubernetesClient, log: Logger, term: AbortSignal): Promise<ClusterFeatures | null> {
  for (let wait = 250; !term.aborted; wait = Math.min(5000, wait * 2)) {
    try {
      const served = await Promise.all(
        Object.entries(optional).map(async ([feature, kind]) => [feature, await client.serves(kind)] as const),
      );
      return Object.fromEntries(served) as unknown as ClusterFeatures;
    } catch (error) {
      log.warn(`the API server does not say what it serves: ${messageOf(error)}`);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
  return null;
}

/** Tells the names of ConfigMaps that are, or were, presets. */
function presetWatcher(changed: (name: string) => void): Parameters<typeof watchCollection>[2] {
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
  return {
    replaced(all) {
      const present = new Set(all.map(({ metadata }) => metadata.name));
      for (const name of [...known.keys()]) if (!present.has(name)) drop(name);
      all.forEach(take);
    },
    changed: take,
    removed: ({ metadata }) => drop(metadata.name),
  };
}

function presetOf(object: KubernetesObject): string | undefined {
  const spec = object['spec'] as { baseConfigMapRef?: { name?: string } } | undefined;
  return spec?.baseConfigMapRef?.name;
}
