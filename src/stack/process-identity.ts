import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** One process for ever: process ids are used again, a pid with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly start: string;
}

/** Null when no such process runs. */
export function identify(pid: number): ProcessIdentity | null {
  const start = process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
  return start === null ? null : { pid, start };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.start === identity.start;
}

/** Ends the process at once, if it still is that process. */
export function killIfRunning(identity: ProcessIdentity): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch {
    // It ended in between, which is what was wanted.
  }
}

/** Clock ticks since boot, field 22 of proc_pid_stat(5); its second field may hold spaces and brackets. */
function startFromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isZombie = fields[0] === 'Z';
    return isZombie ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function startFromPs(pid: number): string | null {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}
