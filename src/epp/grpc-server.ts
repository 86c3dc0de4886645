import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { listenError, tlsOptions, type Certificate } from '../proxy/listen.ts';
import { Http2Connection } from './http2/connection.ts';
import { headerBlock, type Headers } from './http2/hpack.ts';
import type { Stream, StreamHandler } from './http2/stream.ts';
import { FrameReader, GrpcError } from './wire/grpc-frames.ts';
import { MalformedMessage } from './wire/protobuf.ts';

/** A call as its method sees it. */
export interface Call {
  /** Writes pieces of framed messages, in order, whose memory may be used again; does nothing once the call is over. */
  send(...pieces: readonly Buffer[]): void;
  /** Ends the call with status OK, or with an error. */
  end(error?: GrpcError): void;
}

/** What a method does with its caller's messages. */
export interface CallHandler {
  /** The message is there only until this returns. */
  message(message: Buffer): void;
  /** The caller has sent its last message; the call may still be answered. */
  halfClosed(): void;
  /** The call is over, however it ended. Called once. */
  closed(): void;
}

/** A method, called once for each call, with the caller's metadata. */
export type Method = (call: Call, metadata: Headers) => CallHandler;

interface GrpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly portFlag: string;
  readonly methods: ReadonlyMap<string, Method>;
  readonly largestMessageBytes: number;
  readonly tls: Certificate | null;
  readonly log: Logger;
}

const answerHead = headerBlock({ ':status': '200', 'content-type': 'application/grpc' });
const okTrailers = headerBlock({ 'grpc-status': '0' });

/**
 * A gRPC server (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): uncompressed messages, streams of them
 * both ways.
 */
export class GrpcServer {
  readonly #server: Server | TlsServer;
  readonly #connections = new Set<Http2Connection>();
  readonly #options: GrpcServerOptions;
  #open = 0;
  #allClosed: (() => void) | null = null;

  private constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server =
      options.tls === null
        ? createServer((socket) => this.#connected(socket))
        : createTlsServer({ ...tlsOptions(options.tls), ALPNProtocols: ['h2'] }, (socket) => this.#connected(socket));
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
  setCertificate(tls: Certificate): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tlsOptions(tls));
  }

  /** Sends callers elsewhere (GOAWAY); calls under way end by themselves, at the latest after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = Promise.all([
      new Promise<void>((resolve) => this.#server.close(() => resolve())),
      new Promise<void>((resolve) => {
        if (this.#connections.size === 0) resolve();
        else this.#allClosed = resolve;
      }),
    ]);
    for (const connection of this.#connections) connection.leave();
    const cut = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  #connected(socket: Socket): void {
    const connection: Http2Connection = new Http2Connection(socket, {
      serve: (stream, headers) => this.#call(stream, headers),
      closed: () => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#allClosed?.();
      },
    });
    this.#connections.add(connection);
  }

  #call(stream: Stream, headers: Headers): StreamHandler {
    if (headers['content-type']?.startsWith('application/grpc') !== true) {
      return refused(stream, headerBlock({ ':status': '415' }));
    }
    const method = this.#options.methods.get(headers[':path'] ?? '');
    if (method !== undefined) return this.#serve(stream, method, headers);
    const status = { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '12' };
    return refused(stream, headerBlock({ ...status, 'grpc-message': 'unknown method' }));
  }

  #serve(stream: Stream, method: Method, metadata: Headers): StreamHandler {
    this.#open++;
    return new ServedCall(stream, method, metadata, this);
  }

  get largestMessageBytes(): number {
    return this.#options.largestMessageBytes;
  }

  callClosed(): void {
    this.#open--;
  }

  asGrpcError(error: unknown): GrpcError {
    if (error instanceof GrpcError) return error;
    if (error instanceof MalformedMessage) return new GrpcError('invalidArgument', error.message);
    this.#options.log.error({ err: error }, 'a call failed');
    return new GrpcError('internal', messageOf(error));
  }
}

/** An answer of headers alone. */
function refused(stream: Stream, head: Buffer): StreamHandler {
  stream.end(head);
  return { data: () => undefined, ended: () => undefined, closed: () => undefined };
}

/** A call between its stream and its method. */
class ServedCall implements Call, StreamHandler {
  readonly #stream: Stream;
  readonly #server: GrpcServer;
  readonly #handler: CallHandler;
  readonly #frames: FrameReader;

  constructor(stream: Stream, method: Method, metadata: Headers, server: GrpcServer) {
    this.#stream = stream;
    this.#server = server;
    stream.begin(answerHead);
    this.#handler = method(this, metadata);
    this.#frames = new FrameReader(server.largestMessageBytes, this.#handler);
  }

  send(...pieces: readonly Buffer[]): void {
    this.#stream.write(pieces);
  }

  end(error?: GrpcError): void {
    const { code, message } = error ?? { code: 0, message: '' };
    this.#stream.end(
      code === 0
        ? okTrailers
        : headerBlock({ 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message).slice(0, 1024) }),
    );
  }

  data(chunk: Buffer): void {
    if (this.#stream.isEnded) return;
    try {
      this.#frames.push(chunk);
    } catch (error) {
      this.end(this.#server.asGrpcError(error));
    }
  }

  ended(): void {
    try {
      this.#handler.halfClosed();
    } catch (error) {
      this.end(this.#server.asGrpcError(error));
    }
  }

  closed(): void {
    this.#server.callClosed();
    try {
      this.#handler.closed();
    } catch (error) {
      this.#server.asGrpcError(error);
    }
  }
}
