import type { TransportFailure, UpstreamCall, UpstreamHandler, UpstreamRequest } from '../upstream.ts';
import { watchdog } from '../watchdog.ts';
import type { ClientConnection } from './client-connection.ts';
import { headerLines, type Headers } from './head.ts';

/** A request that our own engine has sent, and who hears of its answer. */
export class Http1Call implements UpstreamCall {
  readonly request: UpstreamRequest;
  readonly headText: string;
  connection: ClientConnection | null = null;
  heardAtMs = performance.now();
  paused = false;
  rosterAt = -1;
  readonly #handler: UpstreamHandler;
  readonly #silenceMs: number;
  #over = false;

  constructor(address: string, request: UpstreamRequest, handler: UpstreamHandler, silenceMs: number) {
    this.request = request;
    this.headText = requestHead(address, request);
    this.#handler = handler;
    this.#silenceMs = silenceMs;
    watchdog.watch(this);
  }

  abort(): void {
    if (this.#settle()) this.connection?.leave();
  }

  pause(): void {
    this.paused = true;
    if (!this.#over) this.connection?.pause();
  }

  resume(): void {
    this.paused = false;
    this.heardAtMs = performance.now();
    if (!this.#over) this.connection?.resume();
  }

  looked(silentMs: number): void {
    if (silentMs < this.#silenceMs) return;
    this.connection?.leave();
    this.failed('timeout', 'silent for too long');
  }

  head(status: number, headers: Headers): void {
    if (this.#over) return;
    this.heardAtMs = performance.now();
    this.#handler.head(status, headers);
  }

  data(bytes: Buffer): void {
    if (this.#over) return;
    this.heardAtMs = performance.now();
    this.#handler.data(bytes);
  }

  ended(): void {
    if (this.#settle()) this.#handler.end();
  }

  failed(failure: TransportFailure, reason: string): void {
    if (this.#settle()) this.#handler.failed(failure, reason);
  }

  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    watchdog.unwatch(this);
    return true;
  }
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** @throws TypeError at what would break it. */
function requestHead(address: string, { method, path, headers, body }: UpstreamRequest): string {
  if (!token.test(method) || !/^[\x21-\x7e]+$/.test(path)) throw new TypeError('this request cannot be sent');
  const length = body === null ? '' : `content-length: ${body.length}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nhost: ${address}\r\n${headerLines(headers)}${length}\r\n`;
}
