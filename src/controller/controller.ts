import type { Server } from 'node:http';
import type { Logger } from '../base/log.ts';
import { clusterAccess } from '../kubernetes/access.ts';
import { KubernetesClient } from '../kubernetes/client.ts';
import { holdLease } from '../kubernetes/lease.ts';
import { serveHealth } from './health.ts';
import { ControllerMetrics } from './metrics.ts';
import { lead } from './term.ts';

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

/** Looks after the ModelServices of a namespace until `signal` ends. @throws SignalboxError when there is no way to the cluster */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { log, leaderElect, identity, image, imagePullPolicy, imagePullSecrets } = options;
  const client = new KubernetesClient(await clusterAccess());
  const namespace = options.namespace ?? client.namespace;
  const metrics = new ControllerMetrics();
  let health: Server | null = null;
  try {
    health = await serveHealth(options, metrics);
    log.info({ namespace, port: options.port }, 'looking after the ModelServices of this namespace');
    const begin = (term: AbortSignal): void => {
      metrics.leading = true;
      term.addEventListener('abort', () => (metrics.leading = false), { once: true });
      void lead(client, { namespace, metrics, log, image, imagePullPolicy, imagePullSecrets }, term);
    };
    if (leaderElect) {
      const durationSeconds = options.leaseSeconds ?? 15;
      await holdLease(client, { namespace, name: leaseName, identity, durationSeconds, log }, begin, signal);
    } else {
      begin(signal);
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    }
  } finally {
    health?.close();
    health?.closeAllConnections();
    await client.close();
  }
}
