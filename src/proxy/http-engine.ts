import { Server as TlsServer } from 'node:https';
import type { Exchange } from './exchange.ts';
import type { HttpEngine } from './http-engines.ts';
import { Http1Client } from './http1/client.ts';
import { Http1Server } from './http1/server.ts';
import {
  bind,
  descriptorOf,
  drain,
  listen,
  portOf,
  serverLimits,
  tlsOptions,
  type Certificate,
  type ListenOptions,
} from './listen.ts';
import { NodeExchange } from './node-exchange.ts';
import { UndiciUpstream } from './undici-upstream.ts';
import { upstreamLimits, type Security, type Upstream, type UpstreamLimits } from './upstream.ts';

/** A server of a front door, listening. */
interface HttpServer {
  readonly port: number;
  /** The file descriptor that it listens with, for another process to be started with. */
  readonly descriptor: number;
  /** For connections from now on. */
  setCertificate(certificate: Certificate): void;
  /** No new connections; those open end with their requests, at the latest after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

/** Serves HTTP/1.1. @throws SignalboxError where the port cannot be had. */
export async function serve(
  engine: HttpEngine,
  handler: (exchange: Exchange) => void,
  options: ListenOptions,
): Promise<HttpServer> {
  if (engine === 'node') {
    const server = await listen((incoming, response) => handler(new NodeExchange(incoming, response)), options);
    return {
      port: portOf(server),
      descriptor: descriptorOf(server),
      setCertificate(certificate) {
        if (server instanceof TlsServer) server.setSecureContext(tlsOptions(certificate));
      },
      drain: (graceMs) => drain(server, graceMs),
    };
  }
  const server = new Http1Server(handler, serverLimits, options.certificate);
  await bind(server.net, options);
  return {
    port: portOf(server.net),
    descriptor: descriptorOf(server.net),
    setCertificate: (certificate) => server.setCertificate(certificate),
    drain: (graceMs) => server.drain(graceMs),
  };
}

/** Connections to engines; without `security` requests go unencrypted. */
export function connectUpstream(
  engine: HttpEngine,
  security: Security | null = null,
  limits: UpstreamLimits = upstreamLimits,
): Upstream {
  return engine === 'node' ? new UndiciUpstream(limits, security) : new Http1Client(limits, security);
}
