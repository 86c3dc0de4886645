import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { acceptedReading } from '../../proxy/http1/read-buffer.ts';
import { frameFlag, frameHeadBytes, frameType, FrameWriter } from './frame-writer.ts';
import { HpackDecoder, type Headers } from './hpack.ts';
import { errorCodes, Http2Error } from './http2-error.ts';
import { Stream, type Outlet, type StreamHandler } from './stream.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** RFC 9113 section 6.5.2. */
const setting = { maxConcurrentStreams: 3, initialWindowSize: 4 };
const startWindowBytes = 65_535;
const noBytes = Buffer.alloc(0);
const largestWindow = 2 ** 31 - 1;
const largestFrameBytes = 16_384;
const largestHeaderBlockBytes = 64 * 1024;

const concurrentStreams = 100_000;
/** What a stream may send before it waits for us; a body of usual length fits. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
/** A peer that leaves so much unread is not read from either. */
const unreadLimitBytes = 64 * 1024 * 1024;

interface ConnectionOptions {
  /** Serves a new stream. */
  readonly serve: (stream: Stream, headers: Headers) => StreamHandler;
  readonly closed: () => void;
}

/**
 * The server's side of an HTTP/2 connection (RFC 9113), for a peer that has prior knowledge or agreed on it by ALPN: a
 * data plane that has thousands of short streams on a few connections. What a piece of the wire brings is answered in
 * one piece. What handlers are given of it is there only until they return. Pushes, priorities and compression of what we send are not used.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #decoder = new HpackDecoder();
  readonly #streams = new Map<number, Stream>();
  readonly #outlet: Outlet;
  #prefaceLeft = preface.length;
  /** The beginning of a frame whose rest has not come. */
  #rest: Buffer | null = null;
  /** Of a DATA frame that is being read: its stream (null when that is over), what is left, whether the stream ends. */
  #dataStream: Stream | null = null;
  #dataLeft = 0;
  #dataEnds = false;
  /** Of a header block that goes on in CONTINUATION frames. */
  #block: { readonly stream: number; readonly ends: boolean; readonly parts: Buffer[]; bytes: number } | null = null;
  #receivedBytes = 0;
  #peerWindowBytes = startWindowBytes;
  #lastStream = 0;
  #isReading = false;
  #flushIsDue = false;
  #isLeaving = false;

  constructor(accepted: Socket, options: ConnectionOptions) {
    const take = (chunk: Buffer): void => this.#take(chunk);
    const socket = accepted instanceof TLSSocket ? accepted.on('data', take) : acceptedReading(accepted, take);
    this.#socket = socket;
    this.#options = options;
    const writer = new FrameWriter(socket);
    this.#outlet = {
      writer,
      sendWindow: startWindowBytes,
      largestFrameBytes,
      wantsFlush: () => this.#wantsFlush(),
      over: (stream) => {
        this.#streams.delete(stream.id);
        if (this.#isLeaving && this.#streams.size === 0) this.#end();
      },
    };
    socket.setNoDelay(true);
    socket.on('drain', () => socket.resume());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#close());
    socket.on('close', () => this.#close());
    this.#greet();
  }

  /** Sends the peer elsewhere (GOAWAY); ends with the last stream. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#goAway(errorCodes.noError);
    if (this.#streams.size === 0) this.#end();
    else this.#wantsFlush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #greet(): void {
    const settings = [
      [setting.maxConcurrentStreams, concurrentStreams],
      [setting.initialWindowSize, streamWindowBytes],
    ] as const;
    const payload = Buffer.alloc(6 * settings.length);
    for (const [index, [name, value]] of settings.entries()) {
      payload.writeUInt16BE(name, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    }
    const { writer } = this.#outlet;
    writer.whole(frameType.settings, 0, 0, payload);
    writer.number(frameType.windowUpdate, 0, connectionWindowBytes - startWindowBytes);
    writer.flush();
  }

  #take(chunk: Buffer): void {
    this.#isReading = true;
    try {
      this.#read(chunk);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isReading = false;
      this.#outlet.writer.flush();
    }
    if (this.#socket.writableLength > unreadLimitBytes) this.#socket.pause();
  }

  #fail(error: unknown): void {
    this.#goAway(error instanceof Http2Error ? error.code : errorCodes.internalError);
    this.#outlet.writer.flush();
    this.#socket.destroySoon();
    this.#close();
  }

  #close(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.close();
    this.#options.closed();
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  #end(): void {
    this.#outlet.writer.flush();
    this.#socket.end();
  }

  #goAway(code: number): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(this.#lastStream, 0);
    payload.writeUInt32BE(code, 4);
    this.#outlet.writer.whole(frameType.goAway, 0, 0, payload);
  }

  #wantsFlush(): void {
    if (this.#isReading || this.#flushIsDue) return;
    this.#flushIsDue = true;
    process.nextTick(() => {
      this.#flushIsDue = false;
      this.#outlet.writer.flush();
    });
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
    }
    let at = this.#prefaceLeft > 0 ? this.#readPreface(bytes) : 0;
    const { length } = bytes;
    while (at < length) {
      if (this.#dataLeft > 0) {
        const count = Math.min(this.#dataLeft, length - at);
        this.#dataLeft -= count;
        if (this.#dataStream?.isOver === false) this.#dataStream.handler?.data(bytes.subarray(at, at + count));
        if (this.#dataLeft === 0) this.#dataRead();
        at += count;
        continue;
      }
      if (length - at < frameHeadBytes) break;
      const size = bytes.readUIntBE(at, 3);
      if (size > largestFrameBytes) throw new Http2Error('frameSizeError', 'a frame is too large');
      const type = bytes[at + 3]!;
      const flags = bytes[at + 4]!;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      if (this.#block !== null && (type !== frameType.continuation || stream !== this.#block.stream)) {
        throw new Http2Error('protocolError', 'a header block was broken off');
      }
      if (type === frameType.data && (flags & frameFlag.padded) === 0) {
        at += frameHeadBytes;
        this.#beginData(stream, size, size, (flags & frameFlag.endStream) !== 0);
        continue;
      }
      const end = at + frameHeadBytes + size;
      if (end > length) break;
      this.#frame(type, flags, stream, bytes.subarray(at + frameHeadBytes, end));
      at = end;
    }
    if (at < length) this.#rest = Buffer.from(bytes.subarray(at));
  }

  #readPreface(bytes: Buffer): number {
    const count = Math.min(this.#prefaceLeft, bytes.length);
    const done = preface.length - this.#prefaceLeft;
    if (bytes.compare(preface, done, done + count, 0, count) !== 0) {
      throw new Http2Error('protocolError', 'the peer does not speak HTTP/2');
    }
    this.#prefaceLeft -= count;
    return count;
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case frameType.data: {
        const content = unpadded(payload, flags);
        const ends = (flags & frameFlag.endStream) !== 0;
        this.#beginData(stream, payload.length, 0, false);
        const receiver = this.#streams.get(stream);
        if (content.length > 0) receiver?.handler?.data(content);
        if (ends && receiver !== undefined && !receiver.isOver) receiver.peerEnds();
        break;
      }
      case frameType.headers: {
        if (stream === 0) throw new Http2Error('protocolError', 'headers of no stream');
        let content = unpadded(payload, flags);
        if ((flags & frameFlag.priority) !== 0) content = content.subarray(5);
        this.#block = { stream, ends: (flags & frameFlag.endStream) !== 0, parts: [], bytes: 0 };
        this.#blockPart(content, flags);
        break;
      }
      case frameType.continuation:
        if (this.#block === null) throw new Http2Error('protocolError', 'a continuation of nothing');
        this.#blockPart(payload, flags);
        break;
      case frameType.rstStream:
        expectLength(payload, 4);
        if (stream === 0 || stream > this.#lastStream) throw new Http2Error('protocolError', 'a reset of no stream');
        this.#streams.get(stream)?.close();
        break;
      case frameType.settings:
        if (stream !== 0) throw new Http2Error('protocolError', 'settings of a stream');
        if ((flags & frameFlag.ack) === 0) this.#settings(payload);
        break;
      case frameType.ping:
        expectLength(payload, 8);
        if ((flags & frameFlag.ack) === 0) this.#outlet.writer.whole(frameType.ping, frameFlag.ack, 0, payload);
        break;
      case frameType.windowUpdate:
        expectLength(payload, 4);
        this.#windowUpdate(stream, payload.readUInt32BE(0) & 0x7fffffff);
        break;
      case frameType.pushPromise:
        throw new Http2Error('protocolError', 'a client pushes nothing');
      default: // Priorities and what is not known here say nothing to us; after GOAWAY streams go on to their end.
    }
  }

  /** `size` bytes count against the windows, of which `left` are still to be read. */
  #beginData(id: number, size: number, left: number, ends: boolean): void {
    if (id === 0 || id > this.#lastStream) throw new Http2Error('protocolError', 'data of no stream');
    const stream = this.#streams.get(id) ?? null;
    this.#receivedBytes += size;
    if (this.#receivedBytes > connectionWindowBytes) throw new Http2Error('flowControlError', 'more than was allowed');
    if (this.#receivedBytes > connectionWindowBytes / 2) {
      this.#outlet.writer.number(frameType.windowUpdate, 0, this.#receivedBytes);
      this.#receivedBytes = 0;
    }
    if (stream !== null) {
      if (stream.peerHasEnded) throw new Http2Error('streamClosed', 'data after the end');
      stream.receivedBytes += size;
      if (stream.receivedBytes > streamWindowBytes) throw new Http2Error('flowControlError', 'more than was allowed');
      this.#giveBack(stream);
    }
    this.#dataStream = stream;
    this.#dataLeft = left;
    this.#dataEnds = ends;
    if (left === 0 && ends) this.#dataRead();
  }

  #dataRead(): void {
    const stream = this.#dataStream;
    this.#dataStream = null;
    if (this.#dataEnds && stream !== null && !stream.isOver) stream.peerEnds();
  }

  /** Lets the peer send more, unless it leaves unread what we answer. */
  #giveBack(stream: Stream): void {
    if (stream.receivedBytes <= streamWindowBytes / 2 || stream.isStuck || stream.isOver || stream.peerHasEnded) return;
    this.#outlet.writer.number(frameType.windowUpdate, stream.id, stream.receivedBytes);
    stream.receivedBytes = 0;
  }

  #blockPart(part: Buffer, flags: number): void {
    const block = this.#block!;
    block.parts.push((flags & frameFlag.endHeaders) === 0 ? Buffer.from(part) : part);
    block.bytes += part.length;
    if (block.bytes > largestHeaderBlockBytes) throw new Http2Error('enhanceYourCalm', 'the headers are too long');
    if ((flags & frameFlag.endHeaders) === 0) return;
    this.#block = null;
    const headers = this.#decoder.read(block.parts.length === 1 ? part : Buffer.concat(block.parts));
    this.#headers(block.stream, headers, block.ends);
  }

  #headers(id: number, headers: Headers, ends: boolean): void {
    if (id <= this.#lastStream) {
      // Trailers; or of a stream that is over, and then of no interest.
      const known = this.#streams.get(id);
      if (known !== undefined && ends && !known.peerHasEnded) known.peerEnds();
      return;
    }
    if (id % 2 === 0) throw new Http2Error('protocolError', 'a client has odd streams');
    this.#lastStream = id;
    const stream = new Stream(id, this.#peerWindowBytes, this.#outlet);
    if (this.#isLeaving || this.#streams.size >= concurrentStreams) {
      stream.reset(errorCodes.refusedStream);
      return;
    }
    this.#streams.set(id, stream);
    stream.handler = this.#options.serve(stream, headers);
    if (ends) stream.peerEnds();
  }

  #settings(payload: Buffer): void {
    if (payload.length % 6 !== 0) throw new Http2Error('frameSizeError', 'settings of an odd length');
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      // Frames of ours are as short as every peer has to take them.
      if (payload.readUInt16BE(at) !== setting.initialWindowSize) continue;
      if (value > largestWindow) throw new Http2Error('flowControlError', 'a window is too large');
      for (const stream of this.#streams.values()) {
        this.#widen(stream, value - this.#peerWindowBytes);
      }
      this.#peerWindowBytes = value;
    }
    this.#outlet.writer.whole(frameType.settings, frameFlag.ack, 0, noBytes);
  }

  #windowUpdate(id: number, bytes: number): void {
    if (id > this.#lastStream) throw new Http2Error('protocolError', 'a window of no stream');
    if (bytes === 0) throw new Http2Error('protocolError', 'a window by nothing');
    if (id !== 0) {
      const stream = this.#streams.get(id);
      if (stream !== undefined) this.#widen(stream, bytes);
      return;
    }
    this.#outlet.sendWindow += bytes;
    if (this.#outlet.sendWindow > largestWindow) throw new Http2Error('flowControlError', 'a window is too large');
    for (const stream of this.#streams.values()) this.#sendMore(stream);
  }

  #widen(stream: Stream, bytes: number): void {
    stream.sendWindow += bytes;
    if (stream.sendWindow > largestWindow) throw new Http2Error('flowControlError', 'a window is too large');
    this.#sendMore(stream);
  }

  #sendMore(stream: Stream): void {
    if (!stream.isWaiting) return;
    stream.pump();
    this.#giveBack(stream);
  }
}

function expectLength(payload: Buffer, length: number): void {
  if (payload.length !== length) throw new Http2Error('frameSizeError', 'a frame is not as long as it must be');
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & frameFlag.padded) === 0) return payload;
  const padding = payload[0] ?? 0;
  if (padding >= payload.length) throw new Http2Error('protocolError', 'more padding than frame');
  return payload.subarray(1, payload.length - padding);
}
