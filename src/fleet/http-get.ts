import { createRequire } from 'node:module';
import type { Dispatcher, Pool as UndiciPool } from 'undici';

/** By its path: the package's own entry loads five times as much. */
const Pool = createRequire(import.meta.url)('undici/lib/dispatcher/pool.js') as typeof UndiciPool;

const largestBodyBytes = 4 * 1024 * 1024;
/** Between an idle endpoint's checks of health and the 5 s after which uvicorn (vLLM, SGLang) closes a connection. */
const keepAliveMs = 4700;
const connectionsPerAddress = 4;

interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** TLS to engines: who signs their certificates, and our own, in PEM. */
interface Secured {
  readonly verifies: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Small requests to engines: bounded in time and size, over kept-alive connections. Rejects when no answer came. */
export class HttpGetter {
  readonly #pools = new Map<string, UndiciPool>();
  #security: Secured | null = null;

  /** By TLS from now on. */
  setSecurity(security: Secured): void {
    this.#security = security;
    this.retain(new Set());
  }

  get(address: string, path: string, timeoutMs: number): Promise<HttpAnswer> {
    return this.#send('GET', address, path, null, timeoutMs);
  }

  post(address: string, path: string, body: unknown, timeoutMs: number): Promise<HttpAnswer> {
    return this.#send('POST', address, path, Buffer.from(JSON.stringify(body)), timeoutMs);
  }

  /** JSON that is there already. */
  postBytes(address: string, path: string, body: Buffer, timeoutMs: number): Promise<HttpAnswer> {
    return this.#send('POST', address, path, body, timeoutMs);
  }

  /** Closes connections to addresses that `keep` does not name. */
  retain(keep: ReadonlySet<string>): void {
    for (const [address, pool] of this.#pools) {
      if (keep.has(address)) continue;
      this.#pools.delete(address);
      void pool.close();
    }
  }

  close(): void {
    for (const pool of this.#pools.values()) void pool.destroy();
    this.#pools.clear();
  }

  #send(
    method: 'GET' | 'POST',
    address: string,
    path: string,
    body: Buffer | null,
    timeoutMs: number,
  ): Promise<HttpAnswer> {
    const headers = body === null ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const reading = new Reading(timeoutMs, resolve, reject);
      this.#pool(address).dispatch({ method, path, headers, body }, reading);
    });
  }

  #pool(address: string): UndiciPool {
    let pool = this.#pools.get(address);
    if (pool === undefined) {
      const { verifies, ...files } = this.#security ?? { verifies: true };
      pool = new Pool(`${this.#security === null ? 'http' : 'https'}://${address}`, {
        ...(this.#security === null ? {} : { connect: { rejectUnauthorized: verifies, ...files } }),
        connections: connectionsPerAddress,
        pipelining: 1,
        allowH2: false,
        keepAliveTimeout: keepAliveMs,
        keepAliveMaxTimeout: keepAliveMs,
        // Each request has a limit of its own.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      this.#pools.set(address, pool);
    }
    return pool;
  }
}

/** One answer on its way. */
class Reading implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  constructor(timeoutMs: number, resolve: (answer: HttpAnswer) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => this.#giveUp(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error('no longer wanted'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > largestBodyBytes) this.#giveUp(new Error(`more than ${largestBodyBytes} bytes`));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    this.#end();
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 ? only! : Buffer.concat(this.#chunks, this.#bytes);
    this.#resolve({ status: this.#status, body: body.toString() });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#reject(error instanceof AggregateError ? ((error.errors as Error[])[0] ?? error) : error);
  }

  #giveUp(error: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#reject(error);
    this.#controller?.abort(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
