import {
  type Security,
  type Upstream,
  type UpstreamCall,
  type UpstreamHandler,
  type UpstreamLimits,
  type UpstreamRequest,
} from '../upstream.ts';
import { Http1Call } from './client-call.ts';
import { ClientConnection } from './client-connection.ts';

const sweepMs = 1000;

/** Kept-alive connections of our own engine to engines; the one used last is used first. */
export class Http1Client implements Upstream {
  readonly #idle = new Map<string, ClientConnection[]>();
  readonly #all = new Set<ClientConnection>();
  readonly #limits: UpstreamLimits;
  #security: Security | null;
  #sweep: NodeJS.Timeout | null = null;

  constructor(limits: UpstreamLimits, security: Security | null) {
    this.#limits = limits;
    this.#security = security;
  }

  send(address: string, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Http1Call(address, request, handler, this.#limits.silenceMs);
    (this.#idleAt(address) ?? this.#connect(address)).take(call);
    return call;
  }

  retain(keep: ReadonlySet<string>): void {
    for (const connection of this.#all) if (!keep.has(connection.address)) connection.closeWhenIdle();
  }

  setSecurity(security: Security): void {
    this.#security = security;
    this.retain(new Set());
  }

  destroy(): Promise<void> {
    for (const connection of this.#all) connection.destroy();
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
    return Promise.resolve();
  }

  #idleAt(address: string): ClientConnection | undefined {
    const idle = this.#idle.get(address);
    const nowMs = performance.now();
    for (let connection = idle?.pop(); connection !== undefined; connection = idle?.pop()) {
      if (connection.isUsable(nowMs)) return connection;
      connection.destroy();
    }
    return undefined;
  }

  #connect(address: string): ClientConnection {
    const connection = new ClientConnection(address, this.#security, this.#limits, {
      freed: () => this.#freed(connection),
      closed: () => this.#closed(connection),
    });
    this.#all.add(connection);
    this.#sweep ??= setInterval(() => this.#sweepIdle(), sweepMs).unref();
    return connection;
  }

  #freed(connection: ClientConnection): void {
    const idle = this.#idle.get(connection.address);
    if (idle === undefined) this.#idle.set(connection.address, [connection]);
    else idle.push(connection);
  }

  #closed(connection: ClientConnection): void {
    this.#all.delete(connection);
    const idle = this.#idle.get(connection.address);
    const at = idle?.indexOf(connection) ?? -1;
    if (at >= 0) idle!.splice(at, 1);
    if (idle?.length === 0) this.#idle.delete(connection.address);
  }

  #sweepIdle(): void {
    const nowMs = performance.now();
    for (const idle of this.#idle.values()) {
      for (const connection of [...idle]) if (!connection.isUsable(nowMs)) connection.destroy();
    }
    if (this.#all.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  }
}
