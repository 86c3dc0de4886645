import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { SignalboxError } from '../base/errors.ts';

/** In PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** The flag that sets the port, for the message when it is taken. */
  readonly portFlag: string;
  /** Serves TLS with it; plain without. */
  readonly certificate?: Certificate;
}

const headersLimitMs = 20_000;
const requestLimitMs = 300_000;
const idleConnectionMs = 75_000;
const maxHeaderBytes = 32 * 1024;

/** Starts an HTTP server with limits on slow and oversized senders. A taken port is an error that says so. */
export async function listen(handler: RequestListener, options: ListenOptions): Promise<Server> {
  const limits = {
    headersTimeout: headersLimitMs,
    requestTimeout: requestLimitMs,
    keepAliveTimeout: idleConnectionMs,
    maxHeaderSize: maxHeaderBytes,
    connectionsCheckingInterval: 5000,
  };
  const { certificate } = options;
  const server =
    certificate === undefined ? createServer(limits, handler) : createTlsServer({ ...limits, ...certificate }, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** No new connections; those open end with their requests, at the latest after `graceMs`. */
export async function drain(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // A connection that was busy a moment ago becomes idle without being closed.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
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
