import { connect } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import { MsgpackError } from '../../base/msgpack-reader.ts';
import { ZmtpConnection, zmqTarget, type ZmtpType } from '../../base/zmtp.ts';
import { EventReader, type EventHandler } from './event-reader.ts';
import type { EventSource } from './event-source.ts';
import { Sequence } from './sequence.ts';

interface StreamHandlers extends EventHandler {
  /** What was heard before is void. */
  forgotten(): void;
  /** What is known of the source has changed: connected or not, complete or not. */
  changed(): void;
}

const reconnectFirstMs = 50;
const reconnectMostMs = 2000;
/** A replay that brings nothing for so long has failed. */
const replayIdleMs = 3000;
/** So long after a replay failed, or something could not be read, all is asked for again. */
const startOverFirstMs = 1000;
const startOverMostMs = 60_000;

/** Follows one source of KV events: hears it, fills gaps from its replay socket, connects again when it has gone. */
export class EventStream {
  readonly source: EventSource;
  readonly sequence: Sequence;
  /** Batches that could not be read. */
  unreadable = 0;
  readonly #clock: Clock;
  readonly #handlers: StreamHandlers;
  readonly #reader = new EventReader();
  #live: ZmtpConnection | null = null;
  #replay: ZmtpConnection | null = null;
  #isConnected = false;
  #reconnectMs = reconnectFirstMs;
  #startOverMs = startOverFirstMs;
  #reconnectTimer: Timer | null = null;
  #replayTimer: Timer | null = null;
  #startOverTimer: Timer | null = null;
  #closed = false;
  /** Why it is not connected, in a few words. */
  problem: string | null = 'not connected yet';

  constructor(source: EventSource, clock: Clock, handlers: StreamHandlers) {
    this.source = source;
    this.#clock = clock;
    this.#handlers = handlers;
    this.sequence = new Sequence(source.replayEndpoint !== null, {
      apply: (payload) => this.#apply(payload),
      forget: () => handlers.forgotten(),
      replay: (from) => this.#askForReplay(from),
    });
    this.#connect();
  }

  /** Whether it is heard, and nothing that it said is missing. */
  get isComplete(): boolean {
    return this.#isConnected && !this.sequence.isReplaying && this.sequence.completeness === 'complete';
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Throws away what is known and asks for all of it again. */
  startOver(): void {
    if (this.#closed) return;
    this.sequence.startOver();
    this.#handlers.changed();
  }

  close(): void {
    this.#closed = true;
    for (const timer of [this.#reconnectTimer, this.#replayTimer, this.#startOverTimer]) timer?.cancel();
    this.#replay?.close();
    this.#live?.close();
  }

  #connect(): void {
    const connection = open(this.source.endpoint, 'SUB');
    if (connection === null) {
      this.problem = `${this.source.endpoint} is not a ZeroMQ address that can be reached`;
      return;
    }
    this.#live = connection;
    connection.on('ready', () => {
      connection.send([Buffer.concat([Buffer.from([1]), Buffer.from(this.source.topic)])]);
      this.#isConnected = true;
      this.problem = null;
      this.#reconnectMs = reconnectFirstMs;
      this.sequence.connected();
      this.#handlers.changed();
    });
    connection.on('message', (frames) => {
      const number = numberOf(frames.at(-2));
      if (number !== null) this.#guarded(() => this.sequence.live(number, frames.at(-1)!));
    });
    connection.on('close', (reason) => {
      this.#isConnected = false;
      this.problem = reason;
      if (this.#closed) return;
      this.#replay?.close();
      this.#handlers.changed();
      this.#reconnectTimer = this.#clock.after(this.#reconnectMs, () => this.#connect());
      this.#reconnectMs = Math.min(reconnectMostMs, this.#reconnectMs * 2);
    });
  }

  #askForReplay(from: number): void {
    // The live socket waits: what it brings comes after.
    this.#live?.pause();
    this.#replay?.close();
    const connection = open(this.source.replayEndpoint!, 'DEALER');
    let isOver = false;
    const over = (ended: boolean): void => {
      if (isOver) return;
      isOver = true;
      this.#replayTimer?.cancel();
      if (this.#replay === connection) this.#replay = null;
      connection?.close();
      if (this.#closed) return;
      if (ended) this.#guarded(() => this.sequence.replayEnded());
      else {
        this.sequence.replayFailed();
        this.#startOverLater();
      }
      this.#handlers.changed();
      if (!this.sequence.isReplaying) this.#live?.resume();
    };
    const patience = (): void => {
      this.#replayTimer?.cancel();
      this.#replayTimer = this.#clock.after(replayIdleMs, () => over(false));
    };
    this.#replay = connection;
    patience();
    if (connection === null) return over(false);
    const start = Buffer.alloc(8);
    start.writeBigUInt64BE(BigInt(from));
    connection.on('ready', () => connection.send([Buffer.alloc(0), start]));
    connection.on('message', (frames) => {
      if (isOver) return;
      patience();
      const payload = frames.at(-1)!;
      const number = numberOf(frames.at(-2));
      if (payload.length === 0 && number === null) over(true);
      else if (number !== null) this.#guarded(() => this.sequence.replayed(number, payload));
    });
    connection.on('close', () => over(false));
  }

  #apply(payload: Buffer): void {
    try {
      this.#reader.read(payload, this.#handlers);
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      this.unreadable += 1;
      this.#startOverLater();
    }
  }

  /** What was not read is missing until all has been asked for again; not at once, for it may be unreadable again. */
  #startOverLater(): void {
    this.sequence.completeness = 'partial';
    if (this.#startOverTimer !== null || this.source.replayEndpoint === null) return;
    this.#startOverTimer = this.#clock.after(this.#startOverMs, () => {
      this.#startOverTimer = null;
      if (this.#isConnected) this.startOver();
    });
    this.#startOverMs = Math.min(startOverMostMs, this.#startOverMs * 2);
  }

  /** Runs a step, and tells when it changed how much is known. */
  #guarded(step: () => void): void {
    const before = this.isComplete;
    step();
    if (before !== this.isComplete) this.#handlers.changed();
  }
}

function open(address: string, type: ZmtpType): ZmtpConnection | null {
  const target = zmqTarget(address);
  return target === null ? null : new ZmtpConnection(connect(target), type);
}

/** A batch's number; null for the mark that ends a replay, and for what is none. */
function numberOf(frame: Buffer | undefined): number | null {
  if (frame?.length !== 8) return null;
  const number = frame.readUInt32BE(0) * 2 ** 32 + frame.readUInt32BE(4);
  return number <= Number.MAX_SAFE_INTEGER ? number : null;
}
