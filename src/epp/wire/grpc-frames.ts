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

/** Cuts gRPC's length-prefixed messages (a flag byte, 4 bytes of length, the message) out of what arrives. */
export class FrameReader {
  readonly #largestBytes: number;
  readonly #take: (message: Buffer) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes needed before there is something to do. */
  #wanted = framePrefixBytes;

  constructor(largestBytes: number, take: (message: Buffer) => void) {
    this.#largestBytes = largestBytes;
    this.#take = take;
  }

  /** @throws GrpcError when a message is compressed or too large, and whatever `take` throws. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return;
    const whole = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    let at = 0;
    for (;;) {
      const left = whole.length - at;
      this.#wanted = left < framePrefixBytes ? framePrefixBytes : framePrefixBytes + this.#lengthAt(whole, at);
      if (left < this.#wanted) break;
      const start = at + framePrefixBytes;
      at += this.#wanted;
      this.#take(whole.subarray(start, at));
    }
    const rest = at === whole.length ? none : whole.subarray(at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
  }

  #lengthAt(whole: Buffer, at: number): number {
    if (whole[at] !== 0) throw new GrpcError('unimplemented', 'compressed messages are not supported');
    const length = whole.readUInt32BE(at + 1);
    if (length > this.#largestBytes) {
      throw new GrpcError('resourceExhausted', `a message of ${length} bytes; at most ${this.#largestBytes} are taken`);
    }
    return length;
  }
}

/** Fills in the prefix of a message that is `message` from there on, and `following` bytes after it. */
export function writeFramePrefix(message: Buffer, following: number): void {
  message[0] = 0;
  message.writeUInt32BE(message.length - framePrefixBytes + following, 1);
}
