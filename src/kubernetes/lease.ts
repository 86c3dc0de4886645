import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { isNotFound, KubernetesError, type KubernetesClient } from './client.ts';
import { kinds } from './kinds.ts';
import type { KubernetesObject } from './object.ts';

interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Who we are, among those who want the lease. */
  readonly identity: string;
  readonly durationSeconds?: number;
  readonly log: Logger;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly renewTime?: string;
  readonly acquireTime?: string;
  readonly leaseTransitions?: number;
}

/** Told when leadership begins; `signal` ends with it. */
type Lead = (signal: AbortSignal) => void;

/**
 * Competes for a Lease until `signal` ends, and again after every loss. Works as client-go's leader election does: another holder's
 * lease counts as over when it has not been seen to change for its duration by our own clock, and we stop well before
 * ours is over for others.
 */
export async function holdLease(
  client: KubernetesClient,
  options: LeaseOptions,
  lead: Lead,
  signal: AbortSignal,
): Promise<void> {
  const { durationSeconds = 15, identity, log } = options;
  const renewMs = (durationSeconds * 1000) / 6;
  const giveUpMs = (durationSeconds * 1000 * 2) / 3;
  let seen = { version: '', atMs: 0 };
  let term: AbortController | null = null;
  let giveUp: NodeJS.Timeout | undefined;
  const lose = (why: string): void => {
    clearTimeout(giveUp);
    if (term === null) return;
    log.warn(`no longer leading: ${why}`);
    term.abort();
    term = null;
  };
  while (!signal.aborted) {
    const startedMs = performance.now();
    try {
      const lease = await readLease(client, options);
      const spec = (lease?.['spec'] ?? {}) as LeaseSpec;
      const version = lease?.metadata.resourceVersion ?? '';
      if (version !== seen.version) seen = { version, atMs: performance.now() };
      const isOurs = spec.holderIdentity === identity;
      const othersMs = (spec.leaseDurationSeconds ?? durationSeconds) * 1000;
      const isFree = (spec.holderIdentity ?? '') === '' || performance.now() - seen.atMs > othersMs;
      if (isOurs || isFree) {
        await writeLease(client, options, durationSeconds, lease, isOurs);
        clearTimeout(giveUp);
        const leftMs = giveUpMs - (performance.now() - startedMs);
        giveUp = setTimeout(() => lose('the lease could not be renewed in time'), leftMs);
        if (term === null) {
          log.info('leading');
          term = new AbortController();
          lead(term.signal);
        }
      } else {
        lose(`${spec.holderIdentity} has the lease`);
      }
    } catch (error) {
      const conflict = error instanceof KubernetesError && error.status === 409;
      if (!conflict && term !== null) log.warn(`the lease could not be renewed: ${messageOf(error)}`);
    }
    await sleep(renewMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined);
  }
  clearTimeout(giveUp);
  if (term === null) return;
  (term as AbortController).abort();
  // Whoever waits need not wait for its end.
  await release(client, options).catch(() => undefined);
}

async function readLease(
  client: KubernetesClient,
  { namespace, name }: LeaseOptions,
): Promise<KubernetesObject | null> {
  try {
    return await client.get(kinds.lease, namespace, name);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

async function writeLease(
  client: KubernetesClient,
  { namespace, name, identity }: LeaseOptions,
  durationSeconds: number,
  lease: KubernetesObject | null,
  isOurs: boolean,
): Promise<void> {
  const now = microTime();
  const before = (lease?.['spec'] ?? {}) as LeaseSpec;
  const spec: LeaseSpec = {
    holderIdentity: identity,
    leaseDurationSeconds: durationSeconds,
    renewTime: now,
    acquireTime: isOurs ? (before.acquireTime ?? now) : now,
    leaseTransitions: (before.leaseTransitions ?? -1) + (isOurs ? 0 : 1),
  };
  const { apiVersion, kind } = kinds.lease;
  if (lease === null) await client.create(kinds.lease, { apiVersion, kind, metadata: { name, namespace }, spec });
  else await client.replace(kinds.lease, { ...lease, spec });
}

async function release(client: KubernetesClient, options: LeaseOptions): Promise<void> {
  const lease = await readLease(client, options);
  const spec = (lease?.['spec'] ?? {}) as LeaseSpec;
  if (lease === null || spec.holderIdentity !== options.identity) return;
  await client.replace(kinds.lease, { ...lease, spec: { ...spec, holderIdentity: '' } });
}

function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
