import {
  createSecureServer,
  createServer,
  constants,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { listenError } from '../proxy/listen.ts';
import { FrameReader, GrpcError } from './wire/grpc-frames.ts';
import { MalformedMessage } from './wire/protobuf.ts';

/** A call as its method sees it. */
export interface Call {
  /** Writes pieces of framed messages, in order; does nothing once the call is over. */
  send(...pieces: readonly Buffer[]): void;
  /** Ends the call with status OK, or with an error. */
  end(error?: GrpcError): void;
}

/** What a method does with its caller's messages. */
export interface CallHandler {
  message(message: Buffer): void;
  /** The caller has sent its last message; the call may still be answered. */
  halfClosed(): void;
  /** The call is over, however it ended. Called once. */
  closed(): void;
}

/** A method, called once for each call. */
export type Method = (call: Call) => CallHandler;

interface GrpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly portFlag: string;
  readonly methods: ReadonlyMap<string, Method>;
  readonly largestMessageBytes: number;
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly log: Logger;
}

const concurrentStreams = 100_000;
/** What a stream may have under way before it waits for us; a body of usual length fits. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
const sessionMemoryMegabytes = 2048;

/**
 * A gRPC server (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) on node:http2: uncompressed messages,
 * streams of them both ways.
 */
export class GrpcServer {
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #options: GrpcServerOptions;
  #open = 0;

  private constructor(options: GrpcServerOptions) {
    this.#options = options;
    const settings = {
      settings: { maxConcurrentStreams: concurrentStreams, initialWindowSize: streamWindowBytes },
      // Node's limits are meant for strangers; here one peer has all its streams on a few connections, and resets each
      // whose client leaves.
      maxSessionMemory: sessionMemoryMegabytes,
      streamResetBurst: concurrentStreams,
      streamResetRate: concurrentStreams,
    };
    this.#server =
      options.tls === null
        ? createServer(settings)
        : createSecureServer({ ...settings, ...options.tls, allowHTTP1: false });
    this.#server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(connectionWindowBytes);
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      // A peer that speaks no HTTP/2, or leaves: its streams hear of it.
      session.on('error', () => session.destroy());
    });
    this.#server.on('stream', (stream: ServerHttp2Stream, headers) => {
      // Resets and lost connections end in 'close'.
      stream.on('error', () => undefined);
      // Envoy resets each stream at its end. Node would make an error of it, with a stack trace that nobody reads and
      // that costs as much as the rest of a stream.
      Object.defineProperty(stream, 'rstCode', { value: constants.NGHTTP2_NO_ERROR });
      // Its caller may have left before we hear of it.
      if (!stream.destroyed) this.#call(stream, headers);
    });
  }

  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const server = new GrpcServer(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
      server.#server.listen(port, host, resolve);
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Calls under way. */
  get openCalls(): number {
    return this.#open;
  }

  /** New connections use this certificate. */
  setCertificate(tls: { readonly key: string; readonly cert: string }): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tls);
  }

  /** Sends callers elsewhere (GOAWAY); calls under way end by themselves, at the latest after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const cut = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  #call(stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>): void {
    const method = this.#options.methods.get(String(headers[constants.HTTP2_HEADER_PATH]));
    if (!String(headers['content-type']).startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
    if (method === undefined) {
      const status = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' };
      stream.respond({ ...status, 'grpc-message': 'unknown method' }, { endStream: true });
      return;
    }
    this.#serve(stream, method);
  }

  #serve(stream: ServerHttp2Stream, method: Method): void {
    this.#open++;
    const call = new ServedCall(stream);
    const handler = method(call);
    const frames = new FrameReader(this.#options.largestMessageBytes, (message) => handler.message(message));
    const guarded = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        call.end(this.#asGrpcError(error));
      }
    };
    stream.on('data', (chunk: Buffer) => {
      if (stream.writableEnded) return;
      call.hold();
      guarded(() => frames.push(chunk));
      call.release();
    });
    stream.on('end', () => guarded(() => handler.halfClosed()));
    stream.on('close', () => {
      this.#open--;
      try {
        handler.closed();
      } catch (error) {
        this.#asGrpcError(error);
      }
    });
  }

  #asGrpcError(error: unknown): GrpcError {
    if (error instanceof GrpcError) return error;
    if (error instanceof MalformedMessage) return new GrpcError('invalidArgument', error.message);
    this.#options.log.error({ err: error }, 'a call failed');
    return new GrpcError('internal', messageOf(error));
  }
}

/** The writing side of a call. */
class ServedCall implements Call {
  readonly #stream: ServerHttp2Stream;
  #trailers: Record<string, string> = { 'grpc-status': '0' };
  #held: Buffer[] | null = null;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      if (!stream.destroyed) stream.sendTrailers(this.#trailers);
    });
  }

  /** Until `release`, what is sent waits, to go out in one piece. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const pieces = this.#held;
    this.#held = null;
    if (pieces !== null) this.send(...pieces);
  }

  send(...pieces: readonly Buffer[]): void {
    if (this.#held !== null) {
      this.#held.push(...pieces);
      return;
    }
    if (pieces.length === 0 || !this.#canWrite) return;
    const stream = this.#stream;
    if (stream.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))) return;
    stream.pause();
    stream.once('drain', () => stream.resume());
  }

  end(error?: GrpcError): void {
    this.release();
    if (!this.#canWrite) return;
    if (error !== undefined) {
      this.#trailers = { 'grpc-status': String(error.code), 'grpc-message': encodeURIComponent(error.message) };
    }
    this.#stream.end();
    // What the caller still sends is of no interest.
    this.#stream.resume();
  }

  get #canWrite(): boolean {
    return !this.#stream.destroyed && !this.#stream.writableEnded;
  }
}
