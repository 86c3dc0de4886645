import { byteSlabs } from '../../base/byte-slabs.ts';

/** A gRPC status other than OK (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code: number;

  constructor(code: keyof typeof grpcStatus, message: string) {
    super(message);
    this.code = grpcStatus[code];
  }
}

const grpcStatus = {
  invalidArgument: 3,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export const framePrefixBytes = 5;
const none = Buffer.alloc(0);
/** Less is cut from Node's own pool. */
const leastSlabBytes = 2048;

interface Taker {
  /** The message is there only until this returns. */
  message(message: Buffer): void;
}

/** Cuts gRPC's length-prefixed messages (a flag byte, 4 bytes of length, the message) out of what arrives. */
export class FrameReader {
  readonly #largestBytes: number;
  readonly #taker: Taker;
  /** Of a frame that has come in part: room for its prefix, and for all of it once its length is known. */
  #partial: Buffer = none;
  #bytes = 0;

  constructor(largestBytes: number, taker: Taker) {
    this.#largestBytes = largestBytes;
    this.#taker = taker;
  }

  /** @throws GrpcError when a message is compressed or too large, and whatever the taker throws. */
  push(chunk: Buffer): void {
    let at = this.#bytes === 0 ? 0 : this.#goOn(chunk);
    while (at < chunk.length) {
      const left = chunk.length - at;
      const wanted = left < framePrefixBytes ? framePrefixBytes : framePrefixBytes + this.#lengthAt(chunk, at);
      if (left < wanted) {
        this.#partial = roomFor(wanted);
        this.#fill(chunk, at);
        return;
      }
      at += wanted;
      this.#taker.message(chunk.subarray(at - wanted + framePrefixBytes, at));
    }
  }

  /** Goes on with the frame that has come in part; gives where in the chunk the rest begins. */
  #goOn(chunk: Buffer): number {
    let at = this.#fill(chunk, 0);
    if (this.#partial.length === framePrefixBytes && this.#bytes === framePrefixBytes) {
      const prefix = this.#partial;
      this.#partial = roomFor(framePrefixBytes + this.#lengthAt(prefix, 0));
      prefix.copy(this.#partial);
      at = this.#fill(chunk, at);
    }
    const whole = this.#partial;
    if (this.#bytes < whole.length || this.#bytes < framePrefixBytes) return at;
    this.#partial = none;
    this.#bytes = 0;
    this.#taker.message(whole.subarray(framePrefixBytes));
    byteSlabs.giveBack(whole);
    return at;
  }

  #fill(chunk: Buffer, from: number): number {
    const count = chunk.copy(this.#partial, this.#bytes, from);
    this.#bytes += count;
    return from + count;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    if (bytes[at] !== 0) throw new GrpcError('unimplemented', 'compressed messages are not supported');
    const length = bytes.readUInt32BE(at + 1);
    if (length > this.#largestBytes) {
      throw new GrpcError('resourceExhausted', `a message of ${length} bytes; at most ${this.#largestBytes} are taken`);
    }
    return length;
  }
}

function roomFor(bytes: number): Buffer {
  return bytes < leastSlabBytes ? Buffer.allocUnsafe(bytes) : byteSlabs.take(bytes).subarray(0, bytes);
}

/** Fills in the prefix of a message that is `message` from there on, and `following` bytes after it. */
export function writeFramePrefix(message: Buffer, following: number): void {
  message[0] = 0;
  message.writeUInt32BE(message.length - framePrefixBytes + following, 1);
}
