import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server as TcpServer, type AddressInfo, type Server as NetServer } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { SignalboxError } from '../base/errors.ts';

/** In PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Who signs clients' certificates, which they then have to bring. */
  readonly clientCa?: string;
}

/** What of it TLS itself is told. */
export function tlsOptions({ key, cert, clientCa }: Certificate): TlsOptions {
  return {
    ...{ key, cert, minVersion: 'TLSv1.2' },
    ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** A socket that was handed down to listen with, by its descriptor, in place of host and port. */
  readonly descriptor?: number | null;
  /** Others listen there as well, each with a socket of its own; connections are spread over them. */
  readonly reusePort?: boolean;
  /** The flag that sets the port, for the message when it is taken. */
  readonly portFlag: string;
  /** Serves TLS with it; plain without. */
  readonly certificate?: Certificate;
}

/** What slow and silent clients are held to, in milliseconds. */
export const serverLimits = { headMs: 20_000, requestMs: 300_000, idleMs: 75_000 };
/** A client that has just been answered sends its next request within it, or none. */
export const idleWhileDrainingMs = 500;
const maxHeaderBytes = 32 * 1024;

/** Starts an HTTP server with limits on slow and oversized senders. A taken port is an error that says so. */
export async function listen(handler: RequestListener, options: ListenOptions): Promise<Server> {
  const limits = {
    headersTimeout: serverLimits.headMs,
    requestTimeout: serverLimits.requestMs,
    keepAliveTimeout: serverLimits.idleMs,
    maxHeaderSize: maxHeaderBytes,
    connectionsCheckingInterval: 5000,
  };
  const { certificate } = options;
  const server =
    certificate === undefined
      ? createServer(limits, handler)
      : createTlsServer({ ...limits, ...tlsOptions(certificate) }, handler);
  // Whether a body is wanted, whoever reads it says.
  server.on('checkContinue', handler);
  await bind(server, options);
  return server;
}

/** Resolves when it listens. A taken port is an error that says so. */
export async function bind(server: NetServer, options: ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    const { host, port, descriptor = null } = options;
    const { reusePort = false } = options;
    if (descriptor === null) server.listen({ port, host, reusePort }, resolve);
    else server.listen({ fd: descriptor }, resolve);
  });
}

/** The file descriptor that a server listens with. Node shows it nowhere else. */
export function descriptorOf(server: NetServer): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

export function portOf(server: NetServer): number {
  return (server.address() as AddressInfo).port;
}

/**
 * No new connections. What is under way ends, at the latest after `graceMs`, and so does what still comes over connections
 * that are open: a request may be on its way over one that looks idle.
 */
export async function drain(server: Server, graceMs: number): Promise<void> {
  server.prependListener('request', (_request, response) => (response.shouldKeepAlive = false));
  // An HTTP server's own `close` cuts idle connections off at once.
  const closed = new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()));
  const sweep = setInterval(() => afterReading(() => server.closeIdleConnections()), idleWhileDrainingMs);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/** Once what has arrived is read: a process that was late finds its timers due before its requests. */
export function afterReading(step: () => void): void {
  setImmediate(step);
}

/** Why a server cannot listen, in the terms of whoever started it. */
export function listenError(error: NodeJS.ErrnoException, { host, port, portFlag }: ListenOptions): SignalboxError {
  if (error.code === 'EADDRINUSE') {
    return new SignalboxError('environment', `port ${port} is taken on ${host}; use ${portFlag} to choose another`);
  }
  if (error.code === 'EACCES') {
    return new SignalboxError('environment', `port ${port} needs privileges; use ${portFlag} to choose another`);
  }
  return new SignalboxError('environment', `cannot listen on ${host}:${port}: ${error.message}`);
}
