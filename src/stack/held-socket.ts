import { lookup } from 'node:dns/promises';
import * as net from 'node:net';
import { SignalboxError } from '../base/errors.ts';

/** A TCP socket that is bound here for those who listen with it: connections to it wait while none of them is there. */
export interface HeldSocket {
  /** Its file descriptor. */
  readonly fd: number;
  close(): void;
}

/**
 * Node's own way to sockets that several processes listen with (`cluster` uses it); it has no documented one to bind a
 * socket without taking its connections. Gives an error number of the system's where it cannot.
 */
type CreateServerHandle = (address: string, port: number, family: 4 | 6) => HeldSocket | number;
const { _createServerHandle: createServerHandle } = net as unknown as { _createServerHandle: CreateServerHandle };

/** Binds a socket. @throws SignalboxError */
export async function holdSocket(host: string, port: number): Promise<HeldSocket> {
  const { address, family } = await lookup(host);
  const socket = createServerHandle(address, port, family === 6 ? 6 : 4);
  if (typeof socket !== 'number') return socket;
  throw new SignalboxError('environment', `cannot listen on ${host}:${port}`);
}
