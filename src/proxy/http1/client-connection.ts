import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { hostOf } from '../../base/address.ts';
import { byteSlabs, headroomBytes } from '../../base/byte-slabs.ts';
import { failureOf, secureContext, type Security, type TransportFailure, type UpstreamLimits } from '../upstream.ts';
import { AnswerParser } from './answer-parser.ts';
import type { Http1Call } from './client-call.ts';
import { BadMessage } from './head.ts';
import { outgoing } from './outgoing.ts';
import { readingInto } from './read-buffer.ts';

interface Pool {
  /** It can take another request. */
  freed(): void;
  closed(): void;
}

/** Bodies up to it are copied behind their head. */
const joinedBytes = 16 * 1024;

/** A connection to an engine; it takes one request at a time. */
export class ClientConnection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #pool: Pool;
  readonly #keepAliveMs: number;
  readonly #connecting: NodeJS.Timeout;
  readonly #parser = new AnswerParser();
  #call: Http1Call | null = null;
  #connected = false;
  #closesWhenIdle = false;
  #usableUntilMs = 0;

  constructor(address: string, security: Security | null, { connectMs, keepAliveMs }: UpstreamLimits, pool: Pool) {
    this.address = address;
    this.#pool = pool;
    this.#keepAliveMs = keepAliveMs;
    const host = hostOf(address);
    const onread = readingInto((bytes) => this.#take(bytes));
    const to = { host, port: Number(address.slice(address.lastIndexOf(':') + 1)), noDelay: true, onread };
    const connected = (): void => this.#onConnected();
    this.#socket =
      security === null
        ? connect(to, connected)
        : connectTls(
            { ...to, ...secureContext(security), ...(isIP(host) === 0 ? { servername: host } : {}) },
            connected,
          );
    this.#connecting = setTimeout(() => this.#socket.destroy(connectTimeout()), connectMs);
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('close', () => this.#onClose());
  }

  take(call: Http1Call): void {
    this.#call = call;
    call.connection = this;
    this.#parser.begin(call.request.method === 'HEAD');
    const { headText, request } = call;
    const { body } = request;
    if (body === null || body.length <= joinedBytes) {
      outgoing.begin(this);
      outgoing.text(headText, this.#socket);
      if (body !== null) outgoing.bytes(body, this.#socket);
      this.flush();
    } else {
      this.#sendLong(headText, body);
    }
  }

  /** Sends what it has put together. */
  flush(): void {
    outgoing.sendTo(this.#socket);
  }

  #sendLong(headText: string, body: Buffer): void {
    const socket = this.#socket;
    const isBehindRoom = body.byteOffset === headroomBytes && headText.length <= headroomBytes && byteSlabs.owns(body);
    if (isBehindRoom) {
      const whole = Buffer.from(body.buffer, headroomBytes - headText.length, headText.length + body.length);
      whole.write(headText, 'latin1');
      socket.write(whole);
    } else {
      socket.cork();
      socket.write(headText, 'latin1');
      socket.write(body);
      socket.uncork();
    }
    // The socket goes on reading it.
    if (socket.writableLength > 0) byteSlabs.keep(body);
  }

  isUsable(nowMs: number): boolean {
    return nowMs < this.#usableUntilMs && !this.#socket.destroyed;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  closeWhenIdle(): void {
    this.#closesWhenIdle = true;
    if (this.#call === null) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Whoever asked wants no answer any more. */
  leave(): void {
    this.#call = null;
    this.#socket.destroy();
  }

  #onConnected(): void {
    this.#connected = true;
    clearTimeout(this.#connecting);
  }

  #take(bytes: Buffer): void {
    const call = this.#call;
    // Nothing was asked: what comes is no answer to what will be.
    if (call === null) return void this.#socket.destroy();
    try {
      this.#parser.take(bytes, call);
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.#fail('reset', `its answer is refused: ${error.message}`);
      return;
    }
    if (this.#parser.isOver) this.#answered();
  }

  #answered(): void {
    const call = this.#call;
    if (call === null) return;
    this.#call = null;
    const keptMs = Math.min(this.#keepAliveMs, this.#parser.keepAliveMs - 1000);
    if (this.#parser.closes || this.#closesWhenIdle || this.#socket.destroyed || keptMs <= 0) {
      this.#usableUntilMs = 0;
      this.#socket.destroy();
    } else {
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#usableUntilMs = performance.now() + keptMs;
      this.#pool.freed();
    }
    call.ended();
  }

  #onEnd(): void {
    if (this.#call !== null && this.#parser.endsWithConnection) {
      this.#parser.connectionEnded();
      this.#answered();
    } else {
      this.#fail('reset', 'connection lost');
    }
  }

  #failed(error: Error): void {
    const { failure, reason } = failureOf(error);
    if (this.#connected) this.#fail(failure === 'timeout' ? failure : 'reset', 'connection lost');
    // What fails before a connection is made cost no engine anything.
    else this.#fail(failure === 'local' ? failure : 'connect', reason);
  }

  #fail(failure: TransportFailure, reason: string): void {
    const call = this.#call;
    this.#call = null;
    this.#socket.destroy();
    call?.failed(failure, reason);
  }

  #onClose(): void {
    clearTimeout(this.#connecting);
    this.#usableUntilMs = 0;
    this.#pool.closed();
    this.#fail(this.#connected ? 'reset' : 'connect', 'connection lost');
  }
}

function connectTimeout(): Error {
  return Object.assign(new Error('connecting timed out'), { code: 'ETIMEDOUT' });
}
