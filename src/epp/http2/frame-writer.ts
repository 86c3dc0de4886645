import type { Socket } from 'node:net';

/** RFC 9113 section 6. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;
export const frameHeadBytes = 9;

const usualBytes = 64 * 1024;
/** Buffers that wait for their next use. */
const spares: Buffer[] = [];
const mostSpares = 64;

/** Collects frames and writes them to the socket in one piece: most of them are a few bytes long. */
export class FrameWriter {
  readonly #socket: Socket;
  #bytes: Buffer = spares.pop() ?? Buffer.allocUnsafeSlow(usualBytes);
  #at = 0;
  /** The DATA frame written last, while nothing stands after it: whose it is, where its head is, and how long it is. */
  #dataStream = 0;
  #dataHead = 0;
  #dataLength = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** A frame with this payload. */
  whole(type: number, flags: number, stream: number, payload: Buffer): void {
    this.#head(type, flags, stream, payload.length);
    this.#at += payload.copy(this.#bytes, this.#at);
  }

  /** A frame whose payload is one number of 32 bits. */
  number(type: number, stream: number, value: number): void {
    this.#head(type, 0, stream, 4);
    this.#at = this.#bytes.writeUInt32BE(value >>> 0, this.#at);
  }

  /** Part of `bytes` as DATA of a stream, in frames of at most `largestBytes`; what follows on itself shares a frame. */
  data(stream: number, bytes: Buffer, from: number, to: number, largestBytes: number): void {
    for (let at = from; at < to;) {
      const room = stream === this.#dataStream ? Math.min(largestBytes - this.#dataLength, usualBytes - this.#at) : 0;
      if (room <= 0) {
        this.#head(frameType.data, 0, stream, Math.min(to - at, largestBytes));
        this.#dataStream = stream;
        this.#dataHead = this.#at - frameHeadBytes;
        this.#dataLength = 0;
        continue;
      }
      const end = Math.min(to, at + room);
      this.#at += bytes.copy(this.#bytes, this.#at, at, end);
      this.#dataLength += end - at;
      this.#bytes.writeUIntBE(this.#dataLength, this.#dataHead, 3);
      at = end;
    }
  }

  flush(): void {
    if (this.#at === 0) return;
    const bytes = this.#bytes;
    const piece = bytes.subarray(0, this.#at);
    this.#at = 0;
    this.#dataStream = 0;
    if (this.#socket.destroyed) return;
    let isKept = false;
    this.#socket.write(piece, () => {
      if (isKept && spares.length < mostSpares) spares.push(bytes);
    });
    // Nearly always the kernel takes all of it at once; else the socket needs that memory still.
    if (this.#socket.writableLength === 0) return;
    isKept = true;
    this.#bytes = spares.pop() ?? Buffer.allocUnsafeSlow(usualBytes);
  }

  /** Begins a frame with a payload of `length` bytes, for which room is made. */
  #head(type: number, flags: number, stream: number, length: number): void {
    if (this.#at + frameHeadBytes + length > usualBytes) this.flush();
    this.#dataStream = 0;
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes.writeUInt32BE(stream, at + 5);
    this.#at = at + frameHeadBytes;
  }
}
