import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyLimits } from '../api/body-room.ts';
import { readBody } from '../api/read-body.ts';
import type { SignalboxError } from '../base/errors.ts';
import type { Exchange, RequestHeaders } from './exchange.ts';

/** How long, and with how much, a client may go on that is still sending when it is answered. */
const lingerMs = 10_000;
const lingerBytes = 256 * 1024 * 1024;

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

  readBody(limits: BodyLimits, done: (body: Buffer) => void, refused: (error: SignalboxError) => void): void {
    readBody(this.#incoming, this.#response, limits, done, refused);
  }

  recycleBody(): void {
    // It was collected in memory of Node's.
  }

  writeHead(status: number, headers: Readonly<Record<string, string | string[] | number>>): void {
    this.#response.writeHead(status, headers);
  }

  write(bytes: Buffer): boolean {
    return this.#response.write(Buffer.from(bytes));
  }

  onceDrained(step: () => void): void {
    this.#response.once('drain', step);
  }

  end(bytes?: Buffer | string): void {
    if (this.#incoming.complete || !hasBody(this.#incoming)) {
      this.#response.end(bytes);
      return;
    }
    // Closing the connection now would reset it before the client has read the answer.
    if (bytes !== undefined) this.#response.write(bytes);
    discard(this.#incoming, () => this.#response.end());
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

function hasBody({ headers }: IncomingMessage): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}

/** Throws away what still comes of a request, up to a bound at which its connection is cut; `over` is called at its end. */
function discard(request: IncomingMessage, over: () => void): void {
  const cut = (): void => void request.socket.destroy();
  const timer = setTimeout(cut, lingerMs).unref();
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > lingerBytes) cut();
  });
  request.once('end', over);
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
