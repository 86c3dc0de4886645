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
const mostSpares = 16;

/** Collects frames and writes them to the socket in one piece: most of them are a few bytes long. */
export class FrameWriter {
  readonly #socket: Socket;
  #bytes: Buffer = spares.pop() ?? Buffer.allocUnsafeSlow(usualBytes);
  #at = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Begins a frame with a payload of `length` bytes, for which room is made; gives where in `bytes` it goes. */
  frame(type: number, flags: number, stream: number, length: number): number {
    this.#room(frameHeadBytes + length);
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes.writeUInt32BE(stream, at + 5);
    this.#at = at + frameHeadBytes + length;
    return at + frameHeadBytes;
  }

  /** Valid until the next frame is begun. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  whole(type: number, flags: number, stream: number, payload: Buffer): void {
    const at = this.frame(type, flags, stream, payload.length);
    payload.copy(this.#bytes, at);
  }

  /** A frame whose payload is one number of 32 bits. */
  number(type: number, stream: number, value: number): void {
    const at = this.frame(type, 0, stream, 4);
    this.#bytes.writeUInt32BE(value >>> 0, at);
  }

  flush(): void {
    if (this.#at === 0) return;
    const bytes = this.#bytes;
    const piece = bytes.subarray(0, this.#at);
    this.#at = 0;
    this.#bytes = spares.pop() ?? Buffer.allocUnsafeSlow(usualBytes);
    if (this.#socket.destroyed) return;
    this.#socket.write(piece, () => {
      if (bytes.length === usualBytes && spares.length < mostSpares) spares.push(bytes);
    });
  }

  #room(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    this.flush();
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length);
  }
}
