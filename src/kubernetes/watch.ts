import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { isNotFound, KubernetesError, type KubernetesClient } from './client.ts';
import type { KubernetesObject } from './object.ts';

interface WatchOptions {
  /** The collection's path. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly log: Logger;
}

/** What a watch tells. `replaced` comes first, and again whenever what happened in between cannot be known. */
interface Watcher {
  replaced(objects: readonly KubernetesObject[]): void;
  changed(object: KubernetesObject): void;
  removed(object: KubernetesObject): void;
  /** The cluster does not serve this kind: whoever cares says so. It is asked again, for kinds can be installed. */
  absent?(): void;
}

export interface Watch {
  close(): void;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubernetesObject & { readonly code?: number; readonly reason?: string; readonly message?: string };
}

/** The server ends each watch after this long, and bookmarks come about every minute; longer silence is a dead line. */
const watchSeconds = 240;
const silenceMs = 300_000;
const firstDelayMs = 100;
const longestDelayMs = 5000;
const absentDelayMs = 30_000;

/**
 * Lists a collection and follows it for as long as it takes, through restarts of the API server, ended and expired
 * watches: goes on from the last version seen, and lists anew only when the server has forgotten it.
 */
export function watchCollection(client: KubernetesClient, options: WatchOptions, watcher: Watcher): Watch {
  const abort = new AbortController();
  void follow(client, options, watcher, abort.signal);
  return { close: () => abort.abort() };
}

async function follow(
  client: KubernetesClient,
  { path, log, labelSelector, fieldSelector }: WatchOptions,
  watcher: Watcher,
  signal: AbortSignal,
): Promise<void> {
  const query = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
  let version: string | null = null;
  /** Rounds in a row that brought nothing. */
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (version === null) {
        const list = await client.list(path, query);
        if (signal.aborted) return;
        version = list.version;
        watcher.replaced(list.items);
      }
      const from = { resourceVersion: version, allowWatchBookmarks: 'true', timeoutSeconds: String(watchSeconds) };
      const stream = await client.stream(path, { ...query, watch: 'true', ...from }, signal, silenceMs);
      for await (const line of linesOf(stream)) {
        const { type, object } = JSON.parse(line) as WatchEvent;
        if (type === 'ERROR') throw new KubernetesError(object.code ?? 500, object.reason ?? '', object.message ?? '');
        if (failures > 0) log.info({ path }, 'watching again');
        failures = 0;
        version = object.metadata.resourceVersion ?? version;
        if (type === 'ADDED' || type === 'MODIFIED') watcher.changed(object);
        else if (type === 'DELETED') watcher.removed(object);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (watcher.absent !== undefined && isNotFound(error)) {
        version = null;
        watcher.absent();
        await sleep(absentDelayMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      // A refusal, `Expired` (410) among them, means that the version seen last is of no use any more.
      const refused = error instanceof KubernetesError && error.status > 0;
      if (refused) version = null;
      if (failures === 0 && !(refused && error.status === 410)) {
        log.warn({ path }, `watch interrupted: ${messageOf(error)}`);
      }
    }
    const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
    failures += 1;
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
  }
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const pending: Buffer[] = [];
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pending.push(chunk.subarray(start, end));
      const line = Buffer.concat(pending).toString();
      pending.length = 0;
      start = end + 1;
      if (line !== '') yield line;
    }
    if (start < chunk.length) pending.push(chunk.subarray(start));
  }
}
