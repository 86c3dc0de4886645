import { createRequire } from 'node:module';
import type { Dispatcher, Pool as UndiciPool } from 'undici';
import {
  failureOf,
  secureContext,
  type Security,
  type Upstream,
  type UpstreamCall,
  type UpstreamHandler,
  type UpstreamLimits,
  type UpstreamRequest,
} from './upstream.ts';

/** Connections of undici, one pool per address. */
export class UndiciUpstream implements Upstream {
  /** By its path: the package's own entry loads five times as much. Loaded only where it is used. */
  readonly #Pool = createRequire(import.meta.url)('undici/lib/dispatcher/pool.js') as typeof UndiciPool;
  readonly #pools = new Map<string, UndiciPool>();
  readonly #limits: UpstreamLimits;
  #security: Security | null;

  constructor(limits: UpstreamLimits, security: Security | null) {
    this.#limits = limits;
    this.#security = security;
  }

  send(address: string, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call(handler);
    const { method, path, headers, body } = request;
    this.#pool(address).dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body }, call);
    return call;
  }

  /** Closes connections to addresses that `keep` no longer names. */
  retain(keep: ReadonlySet<string>): void {
    for (const [address, pool] of this.#pools) {
      if (keep.has(address)) continue;
      this.#pools.delete(address);
      void pool.close();
    }
  }

  setSecurity(security: Security): void {
    this.#security = security;
    this.retain(new Set());
  }

  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #pool(address: string): UndiciPool {
    let pool = this.#pools.get(address);
    if (pool === undefined) {
      const { connectMs, silenceMs, keepAliveMs } = this.#limits;
      const security = this.#security;
      pool = new this.#Pool(`${security === null ? 'http' : 'https'}://${address}`, {
        connect: { timeout: connectMs, ...(security === null ? {} : secureContext(security)) },
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
        keepAliveTimeout: keepAliveMs,
        pipelining: 1,
        allowH2: false,
      });
      this.#pools.set(address, pool);
    }
    return pool;
  }
}

/** One request as undici sees it. */
class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler;
  #controller: Dispatcher.DispatchController | null = null;
  #over = false;

  constructor(handler: UpstreamHandler) {
    this.#handler = handler;
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.abort(new Error('no longer wanted'));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('no longer wanted'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (!this.#over && status >= 200) this.#handler.head(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over) this.#handler.data(chunk);
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // Undici may fail while the request is being handed to it.
    process.nextTick(() => {
      if (this.#over) return;
      this.#over = true;
      const { failure, reason } = failureOf(error);
      this.#handler.failed(failure, reason);
    });
  }
}
