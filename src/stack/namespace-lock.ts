import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignalboxError } from '../base/errors.ts';
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts';

/** A namespace that this process supervises. */
interface NamespaceLock {
  /** False when the lock was removed, or is another's now: nobody could reach this stack any more. */
  isHeld(): boolean;
  release(): void;
}

/**
 * Makes this process the one supervisor of a namespace. A lock whose owner is dead is taken over.
 * Throws `environment` when another supervisor runs.
 */
export function lockNamespace(folder: string, namespace: string): NamespaceLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = join(folder, 'lock');
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    // A link is made whole or not at all, so nobody reads a lock half written.
    while (!links(mine, lock)) {
      const owner = ownerOf(lock);
      if (owner !== null && isRunning(owner)) throw takenBy(owner, namespace);
      moveAside(lock, `${mine}.stale`, owner);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  const isHeld = (): boolean => ownerOf(lock)?.pid === process.pid;
  return {
    isHeld,
    release() {
      if (isHeld()) rmSync(lock);
    },
  };
}

function links(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Of two that find the same stale lock, the slower one may have moved the faster one's new lock: it puts that back. */
function moveAside(lock: string, aside: string, stale: ProcessIdentity | null): void {
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  const moved = ownerOf(aside);
  if (moved !== null && moved.pid !== stale?.pid) links(aside, lock);
  rmSync(aside, { force: true });
}

function ownerOf(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity | null;
  } catch {
    return null;
  }
}

function takenBy(owner: ProcessIdentity, namespace: string): SignalboxError {
  const flag = namespace === 'default' ? '' : ` -n ${namespace}`;
  return new SignalboxError(
    'environment',
    `a stack already runs in namespace ${namespace} (process ${owner.pid}); ` +
      `"signalbox down${flag}" ends it, -n NAME starts another one beside it`,
  );
}
