import { createRequire } from 'node:module';
import type { Dispatcher, Pool as UndiciPool } from 'undici';

/** By its path: the package's own entry loads five times as much, 80 ms of every start. */
const Pool = createRequire(import.meta.url)('undici/lib/dispatcher/pool.js') as typeof UndiciPool;

export interface UpstreamRequest {
  readonly method: string;
  /** Path with its query. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer | null;
}

/** What became of a request on its way, before or within its answer; `local`: it is for want of something here. */
export type TransportFailure = 'connect' | 'reset' | 'timeout' | 'local';

/** Hears of one request, in this order: its head, its data, and one of end and failure. */
export interface UpstreamHandler {
  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void;
  data(chunk: Buffer): void;
  end(): void;
  failed(failure: TransportFailure, reason: string): void;
}

/** A request that was sent. */
export interface UpstreamCall {
  /** Ends it, at whatever stage; nothing is heard of it afterwards. */
  abort(): void;
  /** No more data until `resume`, which the engine feels as a slow reader. */
  pause(): void;
  resume(): void;
}

/** What sends requests to endpoints. */
export interface Sender {
  /** Sends to `address` (`host:port`); the handler hears what becomes of it, never before this returns. */
  send(address: string, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
}

/** TLS to the endpoints. */
export interface Security {
  /** Whether their certificates must be signed by somebody known; self-signed ones are not. */
  readonly verifies: boolean;
  /** Who that is, in PEM; whoever the system knows when left out. */
  readonly ca?: string;
  /** Our own certificate and its key, in PEM, for those that ask for one. */
  readonly cert?: string;
  readonly key?: string;
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
export class Upstream implements Sender {
  readonly #pools = new Map<string, UndiciPool>();
  readonly #limits: UpstreamLimits;
  #security: Security | null;

  /** Without `security` requests go unencrypted. */
  constructor(limits: Partial<UpstreamLimits> = {}, security: Security | null = null) {
    this.#limits = { ...defaultLimits, ...limits };
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

  /** For connections from now on; requests under way end on those that they have. */
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
      const { connectMs, silenceMs } = this.#limits;
      const security = this.#security;
      pool = new Pool(`${security === null ? 'http' : 'https'}://${address}`, {
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

function secureContext({ verifies, ...files }: Security): { rejectUnauthorized: boolean } & Omit<Security, 'verifies'> {
  return { rejectUnauthorized: verifies, ...files };
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

/** What a transport error says about the endpoint. */
function failureOf(error: Error): { failure: TransportFailure; reason: string } {
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
    case 'EMFILE':
    case 'ENFILE':
      return { failure: 'local', reason: 'no file descriptor is left for a connection to it (ulimit -n)' };
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { failure: 'timeout', reason: 'silent for too long' };
    default:
      // An AggregateError of several addresses tried has its code on the parts.
      if (error instanceof AggregateError) return { failure: 'connect', reason: 'connection refused' };
      return { failure: 'reset', reason: 'connection lost' };
  }
}
