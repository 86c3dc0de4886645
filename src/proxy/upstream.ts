import { createRequire } from 'node:module';
import type { Dispatcher, Pool as UndiciPool } from 'undici';

/** By its path: the package's own entry loads five times as much, 80 ms of every start. */
const Pool = createRequire(import.meta.url)('undici/lib/dispatcher/pool.js') as typeof UndiciPool;

type UpstreamHandler = Dispatcher.DispatchHandler;
export type UpstreamController = Dispatcher.DispatchController;

export interface UpstreamRequest {
  readonly method: string;
  /** Path with its query. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer | null;
}

interface UpstreamLimits {
  readonly connectMs: number;
  /** Longest silence before the head and between pieces of the body. */
  readonly silenceMs: number;
}

const defaultLimits: UpstreamLimits = { connectMs: 2000, silenceMs: 600_000 };
/** Below the 5 s after which uvicorn (vLLM, SGLang) closes an idle connection. */
const keepAliveMs = 4000;

/** Kept-alive connections to engines, one pool per address. */
export class Upstream {
  readonly #pools = new Map<string, UndiciPool>();
  readonly #limits: UpstreamLimits;

  constructor(limits: Partial<UpstreamLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  /** Sends a request to `address` (`host:port`); the handler hears what becomes of it. */
  send(address: string, request: UpstreamRequest, handler: UpstreamHandler): void {
    this.#pool(address).dispatch(
      {
        method: request.method as Dispatcher.HttpMethod,
        path: request.path,
        headers: request.headers,
        body: request.body,
      },
      handler,
    );
  }

  /** Closes connections to addresses that `keep` no longer names. */
  retain(keep: ReadonlySet<string>): void {
    for (const [address, pool] of this.#pools) {
      if (keep.has(address)) continue;
      this.#pools.delete(address);
      void pool.close();
    }
  }

  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #pool(address: string): UndiciPool {
    let pool = this.#pools.get(address);
    if (pool === undefined) {
      const { connectMs, silenceMs } = this.#limits;
      pool = new Pool(`http://${address}`, {
        connect: { timeout: connectMs },
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

/** What a transport error says about the endpoint. */
export function failureOf(error: Error): { failure: 'connect' | 'reset' | 'timeout'; reason: string } {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  switch (code) {
    case 'ECONNREFUSED':
      return { failure: 'connect', reason: 'connection refused' };
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return { failure: 'connect', reason: 'connecting timed out' };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { failure: 'connect', reason: `cannot be reached (${code})` };
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { failure: 'timeout', reason: 'silent for too long' };
    default:
      // An AggregateError of several addresses tried has its code on the parts.
      if (error instanceof AggregateError) return { failure: 'connect', reason: 'connection refused' };
      return { failure: 'reset', reason: 'connection lost' };
  }
}
