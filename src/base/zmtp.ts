import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { turn } from './turn.ts';

/**
 * ZeroMQ's wire protocol ZMTP 3.0 (rfc.zeromq.org/spec/23) over one connection, with the NULL mechanism: greeting,
 * READY, then messages of one or more frames, in either direction. Enough for PUB, SUB, ROUTER, DEALER as engines use
 * them. Emits `ready`, `message` (frames that are only valid during the call) and `close` (once, with the reason). Where
 * much comes at once, what else the process does has its turn in between.
 */
export class ZmtpConnection extends EventEmitter<{
  ready: [];
  message: [frames: readonly Buffer[]];
  close: [reason: string];
}> {
  readonly #socket: Socket;
  readonly #type: ZmtpType;
  readonly #largestMessageBytes: number;
  #received: Buffer = Buffer.alloc(0);
  /** What came since, and how much has to be here before reading goes on: a long message is put together once. */
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #wantedBytes = 1;
  #greeted = false;
  #ready = false;
  #paused = false;
  /** Others have their turn before the next message. */
  #yielding = false;
  #closed = false;
  #frames: Buffer[] = [];
  #frameBytes = 0;

  constructor(socket: Socket, type: ZmtpType, largestMessageBytes = 32 * 1024 * 1024) {
    super();
    this.#socket = socket;
    this.#type = type;
    this.#largestMessageBytes = largestMessageBytes;
    socket.setNoDelay(true);
    // Who has silently gone is found out within two minutes.
    socket.setKeepAlive(true, 30_000);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message));
    socket.on('close', () => this.#end('closed by the other side'));
    socket.write(greeting());
  }

  /** Bytes written and not yet taken by the network. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  send(frames: readonly Uint8Array[]): void {
    if (!this.#closed) this.#socket.write(encodeMessage(frames));
  }

  /** No message is emitted until `resume`; the other side is held back by the network. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    if (this.#yielding) return;
    this.#socket.resume();
    this.#read();
  }

  close(): void {
    this.#end('closed');
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (!this.#paused && !this.#yielding) this.#read();
  }

  /** Goes on in another turn; until then the other side is held back by the network. */
  #yield(): void {
    this.#yielding = true;
    this.#socket.pause();
    turn.later(() => {
      this.#yielding = false;
      if (this.#paused || this.#closed) return;
      this.#read();
      // Else it is paused once more, or waits for its turn again.
      if (!this.#paused && !this.#yielding) this.#socket.resume();
    });
  }

  #read(): void {
    if (this.#closed || this.#received.length + this.#chunkBytes < this.#wantedBytes) return;
    if (this.#chunkBytes > 0) {
      this.#received =
        this.#received.length === 0 && this.#chunks.length === 1
          ? this.#chunks[0]!
          : Buffer.concat([this.#received, ...this.#chunks]);
      this.#chunks = [];
      this.#chunkBytes = 0;
    }
    this.#wantedBytes = 1;
    try {
      if (!this.#greeted && !this.#readGreeting()) return;
      let at = 0;
      while (!this.#paused && !this.#yielding && !this.#closed) {
        const end = this.#readFrame(at);
        if (end < 0) break;
        at = end;
      }
      if (at > 0) this.#received = this.#received.subarray(at);
    } catch (error) {
      if (!(error instanceof ZmtpError)) throw error;
      this.#end(error.message);
    }
  }

  #readGreeting(): boolean {
    const received = this.#received;
    if (received.length > 0 && received[0] !== 0xff) throw new ZmtpError('not a ZeroMQ socket');
    if (received.length < greetingBytes) return false;
    if (received[9] !== 0x7f || received[10]! < 3) throw new ZmtpError('not a ZeroMQ socket of version 4 or later');
    const mechanism = received.toString('latin1', 12, 32).replace(/\0+$/, '');
    if (mechanism !== 'NULL') throw new ZmtpError(`the ZeroMQ socket wants mechanism ${mechanism}`);
    this.#received = received.subarray(greetingBytes);
    this.#greeted = true;
    this.#socket.write(readyCommand(this.#type));
    return true;
  }

  /** Where the frame at `at` ends, or -1 while it is not here whole. */
  #readFrame(at: number): number {
    const received = this.#received;
    if (at + 2 > received.length) return -1;
    const flags = received[at]!;
    if ((flags & ~0x07) !== 0) throw new ZmtpError('a frame with flags that do not exist');
    let start = at + 2;
    let length = received[at + 1]!;
    if ((flags & flagLong) !== 0) {
      if (at + 9 > received.length) return -1;
      start = at + 9;
      length = received.readUInt32BE(at + 1) * 2 ** 32 + received.readUInt32BE(at + 5);
    }
    if (this.#frameBytes + length > this.#largestMessageBytes) {
      throw new ZmtpError(`a message of more than ${this.#largestMessageBytes} bytes`);
    }
    const end = start + length;
    if (end > received.length) {
      this.#wantedBytes = end - at;
      return -1;
    }
    const body = received.subarray(start, end);
    if ((flags & flagCommand) !== 0) this.#command(body);
    else this.#frame(body, (flags & flagMore) !== 0);
    return end;
  }

  #frame(body: Buffer, more: boolean): void {
    if (!this.#ready) throw new ZmtpError('a message before the handshake');
    this.#frames.push(body);
    this.#frameBytes += body.length;
    if (this.#frames.length > mostFrames) throw new ZmtpError(`a message of more than ${mostFrames} frames`);
    if (more) return;
    const frames = this.#frames;
    this.#frames = [];
    this.#frameBytes = 0;
    this.emit('message', frames);
    if (!this.#closed && turn.isSpent) this.#yield();
  }

  #command(body: Buffer): void {
    const name = body.toString('latin1', 1, 1 + (body[0] ?? 0));
    if (name === 'READY') {
      this.#ready = true;
      this.emit('ready');
    } else if (name === 'ERROR') {
      throw new ZmtpError(`the other side refused: ${body.toString('latin1', 7, 7 + (body[6] ?? 0))}`);
    } else if (name === 'PING') {
      // Its context, after a time to live of two bytes, comes back.
      this.#socket.write(encodeFrame(flagCommand, Buffer.concat([Buffer.from('\x04PONG'), body.subarray(7, 23)])));
    } else if (name === 'SUBSCRIBE' || name === 'CANCEL') {
      const topic = body.subarray(1 + name.length);
      this.emit('message', [Buffer.concat([Buffer.from([name === 'SUBSCRIBE' ? 1 : 0]), topic])]);
    }
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#received = Buffer.alloc(0);
    this.#chunks = [];
    this.#frames = [];
    this.#socket.destroy();
    this.emit('close', reason);
  }
}

export type ZmtpType = 'PUB' | 'SUB' | 'ROUTER' | 'DEALER';

class ZmtpError extends Error {}

const greetingBytes = 64;
const mostFrames = 16;
const flagMore = 1;
const flagLong = 2;
const flagCommand = 4;

function greeting(): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  bytes[0] = 0xff;
  bytes[8] = 1;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.write('NULL', 12, 'latin1');
  return bytes;
}

function readyCommand(type: ZmtpType): Buffer {
  const property = (name: string, value: string): Buffer => {
    const bytes = Buffer.alloc(1 + name.length + 4 + value.length);
    bytes[0] = name.length;
    bytes.write(name, 1, 'latin1');
    bytes.writeUInt32BE(value.length, 1 + name.length);
    bytes.write(value, 5 + name.length, 'latin1');
    return bytes;
  };
  const identity = type === 'DEALER' || type === 'ROUTER' ? [property('Identity', '')] : [];
  return encodeFrame(
    flagCommand,
    Buffer.concat([Buffer.from('\x05READY'), property('Socket-Type', type), ...identity]),
  );
}

function encodeMessage(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(frames.map((frame, at) => encodeFrame(at < frames.length - 1 ? flagMore : 0, frame)));
}

function encodeFrame(flags: number, body: Uint8Array): Buffer {
  const isLong = body.length > 255;
  const frame = Buffer.alloc((isLong ? 9 : 2) + body.length);
  frame[0] = flags | (isLong ? flagLong : 0);
  if (isLong) frame.writeBigUInt64BE(BigInt(body.length), 1);
  else frame[1] = body.length;
  frame.set(body, isLong ? 9 : 2);
  return frame;
}

/** Where a ZeroMQ address leads, for `net.connect`; null for transports that do not leave a process. */
export function zmqTarget(address: string): { host: string; port: number } | { path: string } | null {
  if (address.startsWith('ipc://')) return { path: address.slice('ipc://'.length) };
  const tcp = /^tcp:\/\/(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (tcp === null) return null;
  return { host: tcp[1] ?? tcp[2]!, port: Number(tcp[3]) };
}
