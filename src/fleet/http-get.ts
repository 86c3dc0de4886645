import type { Security, Upstream, UpstreamCall, UpstreamHandler } from '../proxy/upstream.ts';

const largestBodyBytes = 4 * 1024 * 1024;

/** Longer than an idle endpoint's checks of health are apart, shorter than uvicorn's (vLLM, SGLang) 5 s. */
export const getterLimits = { connectMs: 10_000, silenceMs: 600_000, keepAliveMs: 4700 };

interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Why there is no answer. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  /** Whether nobody listens at the port. */
  readonly isRefused: boolean;

  constructor(reason: string, isRefused: boolean) {
    super(reason);
    this.isRefused = isRefused;
  }
}

/** Small requests to engines: bounded in time and size, over kept-alive connections. Rejects with `NoAnswer`. */
export class HttpGetter {
  readonly #upstream: Upstream;

  /** `upstream`: connections with `getterLimits`, which nobody else uses. */
  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** By TLS from now on. */
  setSecurity(security: Security): void {
    this.#upstream.setSecurity(security);
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

  close(): void {
    void this.#upstream.destroy();
  }

  #send(method: string, address: string, path: string, body: Buffer | null, timeoutMs: number): Promise<HttpAnswer> {
    const headers: Record<string, string> = body === null ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const reading = new Reading(timeoutMs, resolve, reject);
      reading.call = this.#upstream.send(address, { method, path, headers, body }, reading);
    });
  }
}

/** One answer on its way. */
class Reading implements UpstreamHandler {
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: NoAnswer) => void;
  readonly #timer: NodeJS.Timeout;
  call: UpstreamCall | null = null;
  #status = 0;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(timeoutMs: number, resolve: (answer: HttpAnswer) => void, reject: (error: NoAnswer) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => this.#giveUp(`no answer within ${timeoutMs} ms`), timeoutMs);
  }

  head(status: number): void {
    this.#status = status;
  }

  data(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > largestBodyBytes) this.#giveUp(`more than ${largestBodyBytes} bytes`);
    else this.#chunks.push(Buffer.from(chunk));
  }

  end(): void {
    clearTimeout(this.#timer);
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 ? only! : Buffer.concat(this.#chunks, this.#bytes);
    this.#resolve({ status: this.#status, body: body.toString() });
  }

  failed(failure: string, reason: string): void {
    clearTimeout(this.#timer);
    this.#reject(new NoAnswer(reason, failure === 'connect' && reason === 'connection refused'));
  }

  #giveUp(reason: string): void {
    clearTimeout(this.#timer);
    this.call?.abort();
    this.#reject(new NoAnswer(reason, false));
  }
}
