import type { Socket } from 'node:net';
import { bodyTooLarge, noRoomForBody, unsizedTooLarge, type BodyLimits, type BodyPart } from '../../api/body-room.ts';
import { largestUnsizedBytes } from '../../api/read-body.ts';
import { byteSlabs } from '../../base/byte-slabs.ts';
import type { SignalboxError } from '../../base/errors.ts';
import { ChunkedDecoder } from './chunked.ts';

interface Reader {
  readonly mostBytes: number;
  readonly roomBytes: number;
  done(body: Buffer): void;
  refused(error: SignalboxError): void;
}

const none = Buffer.alloc(0);
/** Smaller bodies are cut from Node's own pool. */
const leastSlabBytes = 2048;
/** So much is set aside for a body that says how long it is, before it has come. */
const mostAheadBytes = 1024 * 1024;
/** With so much a client may go on that is still sending when it is answered. */
const lingerBytes = 256 * 1024 * 1024;

/** A request's body on its way in: kept until it is whole, or thrown away. */
export class RequestBody {
  readonly #declared: number | null;
  readonly #decoder: ChunkedDecoder | null;
  readonly #socket: Socket;
  #awaitsContinue: boolean;
  /** Of a body whose length was declared. */
  #left: number;
  /** What has come of it, and room for more. */
  #kept: Buffer = none;
  #bytes = 0;
  #reader: Reader | null = null;
  /** What it takes of the room for all bodies. */
  #part: BodyPart | null = null;
  #discardedBytes = 0;
  #discards = false;
  #isRefused = false;

  constructor(framing: number | 'chunked', awaitsContinue: boolean, socket: Socket) {
    this.#declared = framing === 'chunked' ? null : framing;
    this.#decoder = framing === 'chunked' ? new ChunkedDecoder() : null;
    this.#left = this.#declared ?? 0;
    this.#awaitsContinue = awaitsContinue && framing !== 0;
    this.#socket = socket;
  }

  get isOver(): boolean {
    return this.#decoder === null ? this.#left === 0 : this.#decoder.isOver;
  }

  /** As `Exchange.readBody`. */
  read({ limitBytes, room }: BodyLimits, done: (body: Buffer) => void, refused: (error: SignalboxError) => void): void {
    const mostBytes = this.#declared === null ? Math.min(limitBytes, largestUnsizedBytes) : limitBytes;
    this.#reader = { mostBytes, roomBytes: room.limitBytes, done, refused };
    if ((this.#declared ?? this.#bytes) > mostBytes) return this.#tooLarge();
    this.#part = room.part();
    if (!this.#part.take(this.#bytes)) return this.#refuse(noRoomForBody(room.limitBytes));
    if (this.isOver) return this.#whole();
    if (!this.#awaitsContinue) return;
    this.#awaitsContinue = false;
    this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  /** Takes what of `bytes`, from `start` on, belongs to it; returns where the rest begins. @throws BadMessage */
  take(bytes: Buffer, start: number): number {
    if (this.isOver) return start;
    const { from, to, rest } = this.#ownPart(bytes, start);
    if (from < to) this.#keep(bytes, from, to);
    return rest;
  }

  /** Hands over what has come, where it is whole and somebody waits for it. */
  deliver(): void {
    if (this.#reader === null || this.#discards) return;
    if (this.#bytes > this.#reader.mostBytes) this.#tooLarge();
    else if (this.#isRefused) this.#refuse(noRoomForBody(this.#reader.roomBytes));
    else if (this.isOver) this.#whole();
  }

  /** What still comes of it is thrown away. */
  discard(): void {
    this.#discards = true;
    this.#letGo();
  }

  #ownPart(bytes: Buffer, start: number): { from: number; to: number; rest: number } {
    if (this.#decoder !== null) return this.#decoder.decode(bytes, start);
    const end = start + Math.min(this.#left, bytes.length - start);
    this.#left -= end - start;
    return { from: start, to: end, rest: end };
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (this.#discards) {
      this.#discardedBytes += to - from;
      if (this.#discardedBytes > lingerBytes) this.#socket.destroy();
      return;
    }
    this.#awaitsContinue = false;
    this.#makeRoom(to - from);
    this.#kept.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.#bytes);
    this.#bytes += to - from;
    if (this.#part !== null && !this.#part.take(to - from)) this.#isRefused = true;
  }

  /** Nobody reads what was handed over any more. */
  recycle(): void {
    this.#letGo();
  }

  /** The exchange is over: its room is given back. */
  free(): void {
    this.#part?.free();
    this.#part = null;
  }

  #whole(): void {
    this.#discards = true;
    this.#reader!.done(this.#kept.subarray(0, this.#bytes));
  }

  /** Sees to it that so many bytes more can be kept. */
  #makeRoom(bytes: number): void {
    const needed = this.#bytes + bytes;
    if (needed <= this.#kept.length) return;
    const expected = Math.min(this.#declared ?? 0, mostAheadBytes);
    const wanted = Math.max(expected, this.#bytes === 0 ? needed : Math.min(2 * needed, this.#declared ?? Infinity));
    const kept = wanted < leastSlabBytes ? Buffer.allocUnsafe(wanted) : byteSlabs.take(wanted);
    kept.set(this.#kept.subarray(0, this.#bytes));
    this.#letGo();
    this.#kept = kept;
  }

  #letGo(): void {
    byteSlabs.giveBack(this.#kept);
    this.#kept = none;
  }

  #tooLarge(): void {
    const { mostBytes } = this.#reader!;
    this.#refuse(this.#declared === null ? unsizedTooLarge(mostBytes) : bodyTooLarge(mostBytes));
  }

  #refuse(error: SignalboxError): void {
    this.discard();
    this.free();
    this.#reader!.refused(error);
  }
}
