import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { listenError } from '../proxy/listen.ts';
import { Http2Connection, type Headers } from './http2/connection.ts';
import { headerBlock } from './http2/hpack.ts';
import type { Stream, StreamHandler } from './http2/stream.ts';
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

/** A method, called once for each call, with the caller's metadata. */
export type Method = (call: Call, metadata: Headers) => CallHandler;

interface GrpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly portFlag: string;
  readonly methods: ReadonlyMap<string, Method>;
  readonly largestMessageBytes: number;
  readonly tls: { readonly key: string; readonly cert: string } | null;
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

  private constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server =
      options.tls === null
        ? createServer((socket) => this.#connected(socket))
        : createTlsServer({ ...options.tls, ALPNProtocols: ['h2'] }, (socket) => this.#connected(socket));
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
      closed: () => this.#connections.delete(connection),
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
    const call = new ServedCall(stream);
    const handler = method(call, metadata);
    const frames = new FrameReader(this.#options.largestMessageBytes, (message) => handler.message(message));
    return {
      data: (chunk) => {
        if (stream.isEnded) return;
        try {
          frames.push(chunk);
        } catch (error) {
          call.end(this.#asGrpcError(error));
        }
      },
      ended: () => {
        try {
          handler.halfClosed();
        } catch (error) {
          call.end(this.#asGrpcError(error));
        }
      },
      closed: () => {
        this.#open--;
        try {
          handler.closed();
        } catch (error) {
          this.#asGrpcError(error);
        }
      },
    };
  }

  #asGrpcError(error: unknown): GrpcError {
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

/** The writing side of a call. */
class ServedCall implements Call {
  readonly #stream: Stream;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.begin(answerHead);
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
}
