import { frameFlag, frameType, type FrameWriter } from './frame-writer.ts';
import { errorCodes } from './http2-error.ts';

/** What happens to a stream, to whoever serves it. */
export interface StreamHandler {
  data(chunk: Buffer): void;
  /** The peer has sent all that it will. */
  ended(): void;
  /** The stream is over, however it ended. Called once. */
  closed(): void;
}

/** The connection, as its streams see it. */
export interface Outlet {
  readonly writer: FrameWriter;
  /** What may be sent on the whole connection. */
  sendWindow: number;
  readonly largestFrameBytes: number;
  /** Something was written, which is to be sent before long. */
  wantsFlush(): void;
  over(stream: Stream): void;
}

/** What waits to be sent may be so much before the peer is not read any further. */
const pendingLimitBytes = 256 * 1024;

/** One request and its answer. */
export class Stream {
  readonly id: number;
  handler: StreamHandler | null = null;
  sendWindow: number;
  /** Received and not yet given back to the peer's window. */
  receivedBytes = 0;
  readonly #outlet: Outlet;
  /** Header block of the answer, until it is written. */
  #head: Buffer | null = null;
  #trailers: Buffer | null = null;
  /** What windows hold back, in memory of its own. */
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  #peerEnded = false;
  #weEnded = false;
  #isOver = false;

  constructor(id: number, sendWindow: number, outlet: Outlet) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.#outlet = outlet;
  }

  /** Whether nothing more can be sent. */
  get isEnded(): boolean {
    return this.#isOver || this.#trailers !== null;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get peerHasEnded(): boolean {
    return this.#peerEnded;
  }

  /** Whether the peer leaves so much unread that it should not send more. */
  get isStuck(): boolean {
    return this.#pendingBytes > pendingLimitBytes;
  }

  /** Whether something is left that a window holds back. */
  get isWaiting(): boolean {
    return this.#pendingBytes > 0;
  }

  /** The answer's headers, as a block; goes before what is written. */
  begin(head: Buffer): void {
    this.#head = head;
  }

  /** Writes; the memory of the pieces may be used again as soon as it returns. */
  write(pieces: readonly Buffer[]): void {
    if (this.isEnded) return;
    this.#writeHead();
    for (const piece of pieces) {
      const sent = this.#pendingBytes > 0 ? 0 : this.#send(piece);
      if (sent === piece.length) continue;
      this.#pending.push(Buffer.from(piece.subarray(sent)));
      this.#pendingBytes += piece.length - sent;
    }
    this.#outlet.wantsFlush();
  }

  /** Ends the answer with trailers, a header block, once all is sent. */
  end(trailers: Buffer): void {
    if (this.isEnded) return;
    this.#trailers = trailers;
    this.#writeHead();
    this.#endIfSent();
    this.#outlet.wantsFlush();
  }

  reset(code: number): void {
    if (this.#isOver) return;
    this.#outlet.writer.number(frameType.rstStream, this.id, code);
    this.#outlet.wantsFlush();
    this.close();
  }

  peerEnds(): void {
    this.#peerEnded = true;
    this.handler?.ended();
    this.#closeIfEnded();
  }

  /** Over, whoever said so. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pending.length = 0;
    this.#pendingBytes = 0;
    this.#outlet.over(this);
    this.handler?.closed();
  }

  /** Windows are wider than they were. */
  pump(): void {
    while (this.#pending.length > 0) {
      const first = this.#pending[0]!;
      const sent = this.#send(first);
      this.#pendingBytes -= sent;
      if (sent < first.length) {
        this.#pending[0] = first.subarray(sent);
        break;
      }
      this.#pending.shift();
    }
    this.#endIfSent();
    this.#outlet.wantsFlush();
  }

  #writeHead(): void {
    if (this.#head === null) return;
    this.#outlet.writer.whole(frameType.headers, frameFlag.endHeaders, this.id, this.#head);
    this.#head = null;
  }

  /** Sends as much of it from its beginning as windows allow; gives how much. */
  #send(piece: Buffer): number {
    const { writer, sendWindow, largestFrameBytes } = this.#outlet;
    const count = Math.max(0, Math.min(piece.length, this.sendWindow, sendWindow));
    if (count === 0) return 0;
    writer.data(this.id, piece, 0, count, largestFrameBytes);
    this.sendWindow -= count;
    this.#outlet.sendWindow -= count;
    return count;
  }

  #endIfSent(): void {
    if (this.#trailers === null || this.#weEnded || this.#isOver || this.#pendingBytes > 0) return;
    const flags = frameFlag.endHeaders | frameFlag.endStream;
    this.#outlet.writer.whole(frameType.headers, flags, this.id, this.#trailers);
    this.#weEnded = true;
    // What the peer still sends is of no interest (RFC 9113 section 8.1).
    if (this.#peerEnded) this.close();
    else this.reset(errorCodes.noError);
  }

  #closeIfEnded(): void {
    if (this.#peerEnded && this.#weEnded) this.close();
  }
}
