import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Exchange } from '../exchange.ts';
import { RequestBody } from './request-body.ts';
import { BadMessage, bodyFraming, closesAfter, maxHeadBytes, parseHead } from './head.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { acceptedReading } from './read-buffer.ts';
import { refusal } from './answer-head.ts';
import type { ServerLimits } from './server.ts';

const headEnd = Buffer.from('\r\n\r\n');
const methods = new Set(METHODS.filter((method) => method !== 'CONNECT'));
/** What a client sends ahead of its answers, before it is read from no more. */
const maxAheadBytes = 64 * 1024;
/** How long a client whose request was refused may go on sending before its connection is cut. */
const lingerMs = 10_000;

/** One client's connection: its requests, one after the other. */
export class ServerConnection {
  readonly #socket: Socket;
  readonly #handler: (exchange: Exchange) => void;
  readonly #isDraining: () => boolean;
  /** What has come and is not read yet. */
  #ahead: Buffer | null = null;
  /** The request under way; null between requests. */
  #exchange: Http1Exchange | null = null;
  #body: RequestBody | null = null;
  /** When the first byte of a request came, or its wait began. */
  #sinceMs = performance.now();
  #served = 0;
  #closing = false;
  /** Until a client whose body nobody wants has sent it all. */
  #lingering: NodeJS.Timeout | null = null;

  constructor(accepted: Socket, handler: (exchange: Exchange) => void, isDraining: () => boolean) {
    const take = (bytes: Buffer): void => this.#take(bytes);
    const socket = accepted instanceof TLSSocket ? accepted.on('data', take) : acceptedReading(accepted, take);
    this.#socket = socket;
    this.#handler = handler;
    this.#isDraining = isDraining;
    socket.on('drain', () => this.#exchange?.drained());
    socket.on('error', () => socket.destroy());
    // A client that has said all it will say has left: nobody half-closes a connection it wants an answer on.
    socket.on('end', () => this.#left());
    socket.on('close', () => this.#left());
  }

  onceClosed(step: () => void): void {
    this.#socket.once('close', step);
  }

  get #isIdle(): boolean {
    return this.#exchange === null && this.#ahead === null;
  }

  /** Cuts it off where it takes too long. */
  check(limits: ServerLimits, nowMs: number): void {
    const waitedMs = nowMs - this.#sinceMs;
    const isAwaited = this.#body !== null && !this.#body.isOver;
    if (this.#exchange !== null) {
      if (isAwaited && waitedMs > limits.requestMs) this.#refuse(new BadMessage('it took too long to come', 408));
    } else if (this.#isIdle && this.#served > 0) {
      if (waitedMs > limits.idleMs) this.#socket.destroy();
    } else if (waitedMs > limits.headMs) {
      this.#refuse(new BadMessage('its head took too long to come', 408));
    }
  }

  /** Ends it where it has been idle for so long. */
  closeWhenIdle(idleMs: number): void {
    if (this.#isIdle && performance.now() - this.#sinceMs >= idleMs) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #left(): void {
    this.#closing = true;
    this.#exchange?.left();
    if (this.#exchange === null) this.#socket.destroySoon();
  }

  #take(bytes: Buffer): void {
    if (this.#closing) return;
    try {
      if (this.#body !== null && !this.#body.isOver) this.#takeBody(bytes, 0);
      else if (this.#exchange !== null) this.#keepAhead(bytes);
      else if (this.#ahead === null) {
        this.#sinceMs = performance.now();
        this.#takeHead(bytes);
      } else {
        const all = Buffer.concat([this.#ahead, bytes]);
        this.#ahead = null;
        this.#takeHead(all);
      }
    } catch (error) {
      this.#caught(error);
    }
  }

  #keepAhead(bytes: Buffer): void {
    this.#ahead = this.#ahead === null ? Buffer.from(bytes) : Buffer.concat([this.#ahead, bytes]);
    if (this.#ahead.length > maxAheadBytes) this.#socket.pause();
  }

  #takeHead(bytes: Buffer): void {
    // Some clients send an empty line after a body (RFC 9112 section 2.2).
    const start = bytes[0] === 0x0d && bytes[1] === 0x0a ? 2 : 0;
    const end = bytes.indexOf(headEnd, start);
    if (end < 0 ? bytes.length > maxHeadBytes : end - start > maxHeadBytes) {
      throw new BadMessage(`its head is larger than ${maxHeadBytes / 1024} KiB`, 431);
    }
    if (end < 0) {
      this.#ahead = Buffer.from(bytes);
      return;
    }
    const { startLine, headers } = parseHead(bytes.toString('latin1', start, end));
    const [method = '', target = '', version = '', ...others] = startLine.split(' ');
    if (others.length > 0 || !methods.has(method) || !/^[\x21-\x7e]+$/.test(target)) {
      throw new BadMessage('its first line is not METHOD TARGET HTTP/1.1');
    }
    if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') throw new BadMessage('it is not HTTP/1.1', 505);
    const isHttp10 = version === 'HTTP/1.0';
    if (headers['host'] === undefined && !isHttp10) throw new BadMessage('it has no host');
    const framing = bodyFraming(headers, isHttp10) ?? 0;
    const expected = headers['expect'];
    if (expected !== undefined && String(expected).toLowerCase() !== '100-continue') {
      throw new BadMessage('it expects what is not known here', 417);
    }
    this.#served++;
    const body = new RequestBody(framing, expected !== undefined, this.#socket);
    const asksToClose = closesAfter(headers, isHttp10);
    const exchange = new Http1Exchange({ method, target, headers, isHttp10, asksToClose }, body, this.#socket, this);
    this.#exchange = exchange;
    this.#body = body;
    this.#takeBody(bytes, end + headEnd.length);
    this.#handler(exchange);
  }

  #takeBody(bytes: Buffer, start: number): void {
    const body = this.#body!;
    const rest = body.take(bytes, start);
    if (rest < bytes.length) this.#keepAhead(bytes.subarray(rest));
    if (this.#exchange !== null) body.deliver();
    else if (body.isOver) this.#next();
  }

  /** Whether it ends with the answer to `exchange`. */
  closes({ asksToClose }: Http1Exchange): boolean {
    return asksToClose || this.#isDraining();
  }

  /** The answer is out. */
  ended(keep: boolean): void {
    this.#exchange = null;
    const body = this.#body!;
    if (!body.isOver) body.discard();
    if (!keep || this.#closing) {
      this.#close();
      return;
    }
    if (!body.isOver) {
      // One that sends all of it in time keeps its connection.
      this.#lingering = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
      return;
    }
    this.#next();
  }

  /** Goes on with what the client has sent ahead, once whoever ended the answer is done. */
  #next(): void {
    if (this.#lingering !== null) clearTimeout(this.#lingering);
    this.#lingering = null;
    this.#body = null;
    this.#sinceMs = performance.now();
    const ahead = this.#ahead;
    // While draining too: a client that was not told of it may have sent its next request already.
    if (ahead === null) return;
    setImmediate(() => {
      if (this.#exchange !== null || this.#ahead === null || this.#body !== null) return;
      const bytes = this.#ahead;
      this.#ahead = null;
      this.#socket.resume();
      if (this.#closing) return;
      try {
        this.#takeHead(bytes);
      } catch (error) {
        this.#caught(error);
      }
    });
  }

  /** Sends what there is and the end; a client that goes on sending is cut off a little later. */
  #close(): void {
    this.#closing = true;
    this.#socket.end();
    const cut = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#socket.once('close', () => clearTimeout(cut));
  }

  #caught(error: unknown): void {
    if (!(error instanceof BadMessage)) throw error;
    this.#refuse(error);
  }

  /** Nothing that comes after can be trusted to begin where a request begins. */
  #refuse(error: BadMessage): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#body?.discard();
    if (exchange === null || !exchange.headersSent) this.#socket.write(refusal(error), 'latin1');
    exchange?.left();
    this.#close();
  }
}
