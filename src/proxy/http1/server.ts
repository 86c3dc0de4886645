import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import type { Exchange } from '../exchange.ts';
import { afterReading, idleWhileDrainingMs, tlsOptions, type Certificate } from '../listen.ts';
import { ServerConnection } from './server-connection.ts';

const sweepMs = 5000;

/** What slow and silent clients are held to. */
export interface ServerLimits {
  /** For a request's head, from its first byte; for the first one from when the connection was made. */
  readonly headMs: number;
  /** For a whole request, from its first byte. */
  readonly requestMs: number;
  /** Between requests. */
  readonly idleMs: number;
}

/** The connections of a server of our own engine. */
export class Http1Server {
  readonly net: Server;
  readonly #connections = new Set<ServerConnection>();
  readonly #sweep: NodeJS.Timeout;
  #draining = false;
  #allClosed: (() => void) | null = null;

  constructor(handler: (exchange: Exchange) => void, limits: ServerLimits, certificate?: Certificate) {
    const accept = (socket: Socket): void => {
      const connection = new ServerConnection(socket, handler, () => this.#draining);
      this.#connections.add(connection);
      connection.onceClosed(() => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#allClosed?.();
      });
    };
    this.net =
      certificate === undefined
        ? createServer({ noDelay: true }, accept)
        : createTlsServer({ noDelay: true, ALPNProtocols: ['http/1.1'], ...tlsOptions(certificate) }, accept);
    this.#sweep = setInterval(() => {
      const nowMs = performance.now();
      for (const connection of this.#connections) connection.check(limits, nowMs);
    }, sweepMs).unref();
  }

  /** For connections from now on. */
  setCertificate(certificate: Certificate): void {
    if (this.net instanceof TlsServer) this.net.setSecureContext(tlsOptions(certificate));
  }

  /**
   * No new connections. What is under way ends, at the latest after `graceMs`, and so does what still comes over connections
   * that are open: a request may be on its way over one that looks idle.
   */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const closed = Promise.all([
      new Promise<void>((resolve) => this.net.close(() => resolve())),
      new Promise<void>((resolve) => {
        if (this.#connections.size === 0) resolve();
        else this.#allClosed = resolve;
      }),
    ]);
    const closeIdle = (): void => {
      for (const connection of this.#connections) connection.closeWhenIdle(idleWhileDrainingMs);
    };
    const sweepIdle = setInterval(() => afterReading(closeIdle), idleWhileDrainingMs);
    const cut = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
    clearInterval(sweepIdle);
    clearInterval(this.#sweep);
  }
}
