import { Server as TlsServer } from 'node:https';
import { descriptorOf, drain, listen, portOf, tlsOptions, type Certificate, type ListenOptions } from './listen.ts';
import type { Exchange } from './exchange.ts';
import { NodeExchange } from './node-exchange.ts';

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
export async function serve(handler: (exchange: Exchange) => void, options: ListenOptions): Promise<HttpServer> {
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
