import type { Socket } from 'node:net';
import type { BodyLimits } from '../../api/body-room.ts';
import type { SignalboxError } from '../../base/errors.ts';
import type { Exchange } from '../exchange.ts';
import { dateLine, statusLine } from './answer-head.ts';
import { headerLines, type Headers } from './head.ts';
import { outgoing } from './outgoing.ts';
import type { RequestBody } from './request-body.ts';

interface Request {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly isHttp10: boolean;
  readonly asksToClose: boolean;
}

interface Connection {
  /** Whether the connection ends with the answer. */
  closes(exchange: Http1Exchange): boolean;
  /** The answer is out; `keep`: the next request may come. */
  ended(keep: boolean): void;
}

/** So much may wait for the client before whoever writes is asked to stop. */
const maxWaitingBytes = 64 * 1024;

/** A request and its answer on a connection of our own engine. What is written within a turn goes out in one write. */
export class Http1Exchange implements Exchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  /** Whether the client asked for the connection's end. */
  readonly asksToClose: boolean;
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
  #flushing = false;
  #ended = false;
  #gone = false;
  #left: (() => void)[] = [];
  #drainStep: (() => void) | null = null;
  headersSent = false;

  constructor(
    { method, target, headers, isHttp10, asksToClose }: Request,
    body: RequestBody,
    socket: Socket,
    connection: Connection,
  ) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.asksToClose = asksToClose;
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

  recycleBody(): void {
    this.#body.recycle();
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
    outgoing.begin(this);
    this.#putHead();
    if (bytes.length > 0) this.#putPiece(bytes);
    this.#flushSoon();
    return outgoing.length + this.#socket.writableLength < maxWaitingBytes;
  }

  onceDrained(step: () => void): void {
    this.#drainStep = step;
  }

  end(last?: Buffer | string): void {
    if (this.#ended || this.destroyed) return;
    const bytes = typeof last === 'string' ? Buffer.from(last) : last;
    if (!this.headersSent) this.writeHead(200, {});
    outgoing.begin(this);
    if (bytes !== undefined && bytes.length > 0 && !this.#bodiless) {
      if (!this.#keepsPromise(bytes.length)) return;
      this.#putHead(bytes.length);
      this.#putPiece(bytes);
    } else {
      this.#putHead(0);
    }
    if (this.#promised !== null && this.#promised > 0) return this.destroy();
    if (this.#chunked) outgoing.text('0\r\n\r\n', this.#socket);
    this.#ended = true;
    this.#left = [];
    this.#body.free();
    this.flush();
    outgoing.drop(this);
    this.#connection.ended(!this.#closes);
  }

  /** Breaks the connection off, after what was written. */
  destroy(): void {
    if (this.#ended || this.#gone) return;
    outgoing.begin(this);
    this.flush();
    this.#socket.destroySoon();
  }

  onceLeft(step: () => void): void {
    this.#left.push(step);
  }

  /** The client has gone. */
  left(): void {
    if (this.#gone || this.#ended) return;
    this.#gone = true;
    outgoing.drop(this);
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
  #putHead(bytes: number | null = null): void {
    if (this.#head === null) return;
    this.#closes = this.#connection.closes(this);
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
    outgoing.text(`${this.#head}${framing}\r\n`, this.#socket);
    this.#head = null;
  }

  #putPiece(bytes: Buffer): void {
    const socket = this.#socket;
    if (!this.#chunked) return outgoing.bytes(bytes, socket);
    outgoing.text(`${bytes.length.toString(16)}\r\n`, socket);
    outgoing.bytes(bytes, socket);
    outgoing.text('\r\n', socket);
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(flush, this);
  }

  /** Internal: writes what the turn has brought. */
  flushNow(): void {
    this.#flushing = false;
    if (this.#ended || this.destroyed) return;
    outgoing.begin(this);
    this.flush();
    outgoing.drop(this);
  }

  /** Writes what has been put together last, which is this answer's. */
  flush(): void {
    if (this.#socket.destroyed) return;
    const isTaken = outgoing.sendTo(this.#socket);
    if (isTaken && this.#drainStep !== null) process.nextTick(drained, this);
  }
}

function flush(exchange: Http1Exchange): void {
  exchange.flushNow();
}

function drained(exchange: Http1Exchange): void {
  exchange.drained();
}
