import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../api/read-body.ts';
import type { SignalboxError } from '../base/errors.ts';
import type { Exchange, RequestHeaders } from './exchange.ts';

/** An exchange of a server of node:http. */
export class NodeExchange implements Exchange {
  readonly #incoming: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(incoming: IncomingMessage, response: ServerResponse) {
    this.#incoming = incoming;
    this.#response = response;
  }

  get method(): string {
    return this.#incoming.method ?? 'GET';
  }

  get target(): string {
    return this.#incoming.url ?? '/';
  }

  get headers(): RequestHeaders {
    return this.#incoming.headers;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  readBody(limitBytes: number, done: (body: Buffer) => void, refused: (error: SignalboxError) => void): void {
    readBody(this.#incoming, limitBytes, done, refused);
  }

  writeHead(status: number, headers: Readonly<Record<string, string | string[] | number>>): void {
    this.#response.writeHead(status, headers);
  }

  write(bytes: Buffer): boolean {
    return this.#response.write(bytes);
  }

  onceDrained(step: () => void): void {
    this.#response.once('drain', step);
  }

  end(bytes?: Buffer | string): void {
    this.#response.end(bytes);
  }

  destroy(): void {
    this.#response.destroy();
  }

  onceLeft(step: () => void): void {
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) step();
    });
  }
}
