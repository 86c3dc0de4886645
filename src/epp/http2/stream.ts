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
  /** There is something to write; `Stream.pump` will be called. */
  wants(stream: Stream): void;
  /** There is something to write that no window holds back. */
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
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Of the first one, what has been sent. */
  #sentOfFirst = 0;
  #peerEnded = false;
  #weEnded = false;
  #isOver = false;
  isMarked = false;

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

  write(pieces: readonly Buffer[]): void {
    if (this.isEnded) return;
    for (const piece of pieces) {
      if (piece.length === 0) continue;
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
    }
    this.#outlet.wants(this);
  }

  /** Ends the answer with trailers, a header block, once all is sent. */
  end(trailers: Buffer): void {
    if (this.isEnded) return;
    this.#trailers = trailers;
    this.#outlet.wants(this);
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

  /** Writes what windows allow. */
  pump(): void {
    if (this.#isOver || this.#weEnded) return;
    const { writer } = this.#outlet;
    if (this.#head !== null) {
      writer.whole(frameType.headers, frameFlag.endHeaders, this.id, this.#head);
      this.#head = null;
    }
    while (this.#pendingBytes > 0) {
      const { sendWindow, largestFrameBytes } = this.#outlet;
      const length = Math.min(this.#pendingBytes, this.sendWindow, sendWindow, largestFrameBytes);
      if (length <= 0) return;
      this.#writeData(length);
    }
    if (this.#trailers === null) return;
    writer.whole(frameType.headers, frameFlag.endHeaders | frameFlag.endStream, this.id, this.#trailers);
    this.#weEnded = true;
    // What the peer still sends is of no interest (RFC 9113 section 8.1).
    if (this.#peerEnded) this.close();
    else this.reset(errorCodes.noError);
  }

  #writeData(length: number): void {
    const { writer } = this.#outlet;
    let at = writer.frame(frameType.data, 0, this.id, length);
    for (let left = length; left > 0;) {
      const first = this.#pending[0]!;
      const count = Math.min(left, first.length - this.#sentOfFirst);
      first.copy(writer.bytes, at, this.#sentOfFirst, this.#sentOfFirst + count);
      at += count;
      left -= count;
      this.#sentOfFirst += count;
      if (this.#sentOfFirst < first.length) break;
      this.#pending.shift();
      this.#sentOfFirst = 0;
    }
    this.#pendingBytes -= length;
    this.sendWindow -= length;
    this.#outlet.sendWindow -= length;
  }

  #closeIfEnded(): void {
    if (this.#peerEnded && this.#weEnded) this.close();
  }
}
