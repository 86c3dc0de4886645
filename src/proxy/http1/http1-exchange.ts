import type { Socket } from 'node:net';
import type { BodyLimits } from '../../api/body-room.ts';
import type { SignalboxError } from '../../base/errors.ts';
import type { Exchange } from '../exchange.ts';
import { dateLine, statusLine } from './answer-head.ts';
import { headerLines, type Headers } from './head.ts';
import type { RequestBody } from './request-body.ts';

interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly isHttp10: boolean;
}

interface Connection {
  /** Whether the connection ends with this answer. */
  closes(): boolean;
  /** The answer is out; `keep`: the next request may come. */
  ended(keep: boolean): void;
}

/** So much may wait for the client before whoever writes is asked to stop. */
const maxWaitingBytes = 64 * 1024;
/** Pieces up to it are joined, larger ones are sent from where they lie. */
const joinedBytes = 16 * 1024;
const lineEnd = Buffer.from('\r\n');
const lastChunk = Buffer.from('0\r\n\r\n');

/** A request and its answer on a connection of our own engine. What is written within a turn goes out in one write. */
export class Http1Exchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly #isHttp10: boolean;
  readonly #body: RequestBody;
  readonly #socket: Socket;
  readonly #connection: Connection;
  #head: string | null = null;
  /** Bytes of the answer's body that its head has promised and that are not written yet; null where it promised none. */
  #promised: number | null = null;
  /** Whether the head says, or the status, where the answer ends. */
  #hasLength = false;
  #chunked = false;
  #bodiless = false;
  #closes = false;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #flushing = false;
  #ended = false;
  #gone = false;
  #left: (() => void)[] = [];
  #drainStep: (() => void) | null = null;
  headersSent = false;

  constructor(
    { method, target, headers, isHttp10 }: Request,
    body: RequestBody,
    socket: Socket,
    connection: Connection,
  ) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.#isHttp10 = isHttp10;
    this.#body = body;
    this.#socket = socket;
    this.#connection = connection;
  }

  get destroyed(): boolean {
    return this.#gone || this.#socket.destroyed;
  }

  readBody(limits: BodyLimits, done: (body: Buffer) => void, refused: (error: SignalboxError) => void): void {
    this.#body.read(limits, done, refused);
  }

  writeHead(status: number, headers: Readonly<Record<string, string | string[] | number>>): void {
    if (this.headersSent) throw new Error('an answer has one head');
    const lines = headerLines(headers);
    this.headersSent = true;
    const length = headers['content-length'];
    const hasNone = status === 204 || status === 304;
    this.#bodiless = hasNone || this.method === 'HEAD';
    this.#promised = length === undefined || this.#bodiless ? null : Number(length);
    this.#hasLength = length !== undefined || hasNone;
    const date = headers['date'] === undefined ? dateLine() : '';
    this.#head = `${statusLine(status)}${lines}${date}`;
  }

  write(bytes: Buffer): boolean {
    if (this.#ended || this.destroyed || this.#bodiless) return true;
    if (!this.#keepsPromise(bytes.length)) return true;
    this.#sendHead();
    if (bytes.length > 0) this.#frame(bytes);
    this.#flushSoon();
    return this.#queuedBytes + this.#socket.writableLength < maxWaitingBytes;
  }

  onceDrained(step: () => void): void {
    this.#drainStep = step;
  }

  end(last?: Buffer | string): void {
    if (this.#ended || this.destroyed) return;
    const bytes = typeof last === 'string' ? Buffer.from(last) : last;
    if (!this.headersSent) this.writeHead(200, {});
    if (bytes !== undefined && bytes.length > 0 && !this.#bodiless) {
      if (!this.#keepsPromise(bytes.length)) return;
      this.#sendHead(bytes.length);
      this.#frame(bytes);
    } else {
      this.#sendHead(0);
    }
    if (this.#promised !== null && this.#promised > 0) return this.destroy();
    if (this.#chunked) this.#push(lastChunk);
    this.#ended = true;
    this.#left = [];
    this.#body.free();
    this.#flush();
    this.#connection.ended(!this.#closes);
  }

  /** Breaks the connection off, after what was written. */
  destroy(): void {
    if (this.#ended || this.#gone) return;
    this.#flush();
    this.#socket.destroySoon();
  }

  onceLeft(step: () => void): void {
    this.#left.push(step);
  }

  /** The client has gone. */
  left(): void {
    if (this.#gone || this.#ended) return;
    this.#gone = true;
    this.#queue = [];
    this.#body.free();
    for (const step of this.#left.splice(0)) step();
    this.#socket.destroy();
  }

  /** The client has taken what was written. */
  drained(): void {
    const step = this.#drainStep;
    this.#drainStep = null;
    step?.();
  }

  /** Whether `bytes` more are within the length that the head has; else the connection is cut, lest a client misreads. */
  #keepsPromise(bytes: number): boolean {
    if (this.#promised === null) return true;
    this.#promised -= bytes;
    if (this.#promised >= 0) return true;
    this.#socket.destroy();
    return false;
  }

  /** `bytes`: the answer's length, where all of it is here. */
  #sendHead(bytes: number | null = null): void {
    if (this.#head === null) return;
    this.#closes = this.#connection.closes();
    let framing = '';
    if (!this.#hasLength) {
      if (bytes !== null) framing = this.#bodiless ? '' : `content-length: ${bytes}\r\n`;
      else if (this.#isHttp10)
        this.#closes = true; // only the connection's end says where the answer ends
      else {
        framing = 'transfer-encoding: chunked\r\n';
        this.#chunked = true;
      }
    }
    if (this.#closes) framing += 'connection: close\r\n';
    else if (this.#isHttp10) framing += 'connection: keep-alive\r\n';
    this.#push(Buffer.from(`${this.#head}${framing}\r\n`, 'latin1'));
    this.#head = null;
  }

  #frame(bytes: Buffer): void {
    if (!this.#chunked) return this.#push(bytes);
    this.#push(Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'));
    this.#push(bytes);
    this.#push(lineEnd);
  }

  #push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(flush, this);
  }

  /** Internal: writes what the turn has brought. */
  flushNow(): void {
    this.#flushing = false;
    if (!this.#ended) this.#flush();
  }

  #flush(): void {
    const queue = this.#queue;
    if (queue.length === 0 || this.#socket.destroyed) return;
    const bytes = this.#queuedBytes;
    this.#queue = [];
    this.#queuedBytes = 0;
    let isTaken = true;
    if (queue.length === 1) {
      isTaken = this.#socket.write(queue[0]!);
    } else if (bytes <= joinedBytes) {
      isTaken = this.#socket.write(Buffer.concat(queue, bytes));
    } else {
      this.#socket.cork();
      for (const each of queue) isTaken = this.#socket.write(each);
      this.#socket.uncork();
    }
    if (isTaken && this.#drainStep !== null) process.nextTick(drained, this);
  }
}

function flush(exchange: Http1Exchange): void {
  exchange.flushNow();
}

function drained(exchange: Http1Exchange): void {
  exchange.drained();
}
