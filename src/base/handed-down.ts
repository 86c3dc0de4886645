import { fstatSync } from 'node:fs';
import { SignalboxError } from './errors.ts';

/** Sockets that whoever started this process keeps listening with, by file descriptor. */
export interface HandedDown {
  readonly api: number;
  /** Null where only one was handed down. */
  readonly admin: number | null;
  /** Further ones of the API, for other threads to listen with. */
  readonly more: readonly number[];
  /** Whether it was this program that handed them down, to be followed by this process. */
  readonly byPredecessor: boolean;
}

const firstDescriptor = 3;
const predecessorVariable = 'SIGNALBOX_PREDECESSOR';

/**
 * What a process is told of `count` sockets that it is started with, behind its stdin, stdout and stderr. By a predecessor
 * of the same program, or by whoever supervises it.
 */
export function handDown(count: number, by: 'predecessor' | 'supervisor'): Record<string, string> {
  return { LISTEN_FDS: String(count), ...(by === 'predecessor' ? { [predecessorVariable]: '1' } : {}) };
}

/**
 * Sockets handed down as systemd does it (sd_listen_fds(3): `LISTEN_FDS`, `LISTEN_PID`), the API's first, the admin port's
 * second, further ones of the API behind it; null where there are none. They are taken out of `env`, which others may inherit.
 * @throws SignalboxError when what is said to be there is no socket
 */
export function takeHandedDown(env: NodeJS.ProcessEnv): HandedDown | null {
  const { LISTEN_FDS: said = '0', LISTEN_PID: pid, [predecessorVariable]: predecessor } = env;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', predecessorVariable]) delete env[name];
  const count = Number(said);
  if (!(count >= 1) || (pid !== undefined && Number(pid) !== process.pid)) return null;
  const admin = count > 1 ? firstDescriptor + 1 : null;
  const more = Array.from({ length: Math.max(0, count - 2) }, (_, at) => firstDescriptor + 2 + at);
  for (const descriptor of [firstDescriptor, admin, ...more]) {
    if (descriptor === null || isSocket(descriptor)) continue;
    throw new SignalboxError('environment', `LISTEN_FDS is ${said}, but file descriptor ${descriptor} is no socket`);
  }
  return { api: firstDescriptor, admin, more, byPredecessor: predecessor !== undefined };
}

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}
