import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis as Client, RedisOptions } from 'iovalkey';
import { messageOf } from '../base/errors.ts';

/** Entries of the stream that are kept, about: who was away for longer asks for a snapshot. */
const keptEntries = 4000;
/** The stream goes when nobody has written to it for so long, or a little less. */
const forgottenSeconds = 600;
const touchedEveryMs = 60_000;
const blockMs = 1000;
const commandTimeoutMs = 1000;
const longestRetryMs = 1000;

export interface LinkHandlers {
  /** What another, or this one, has written. */
  read(batch: Buffer): void;
  up(): void;
  down(reason: string): void;
  /** Between two reads, so that what comes meanwhile comes together: a read costs far more than what it brings. */
  pauseMs(): number;
}

/** A way to all replicas, this one among them. */
export interface Link {
  readonly isUp: boolean;
  /** What was written last is not there yet: what comes meanwhile had better wait. */
  readonly isBusy: boolean;
  /** Why it was not to be reached last. */
  readonly reason: string;
  write(batch: Buffer): void;
  /** Once all that was written is there, or cannot be. */
  close(): Promise<void>;
}

/**
 * A stream of Valkey or Redis that all replicas write to and read: one connection to write, one to read, since a read
 * waits. Whatever happens to it is told, and nothing waits for it.
 */
export class ValkeyLink implements Link {
  readonly #key: string;
  readonly #writer: Client;
  readonly #reader: Client;
  readonly #handlers: LinkHandlers;
  #lastId: string | null = null;
  #isUp = false;
  #isClosed = false;
  #pending: Promise<unknown> = Promise.resolve();
  #pendingCount = 0;
  #touchedAtMs = -Infinity;
  #reason = 'not connected yet';

  constructor(url: string, group: string, handlers: LinkHandlers) {
    this.#key = `signalbox:${group}`;
    this.#handlers = handlers;
    this.#writer = this.#connect(url, { commandTimeout: commandTimeoutMs });
    // A read may block for a second, and is late only well after that.
    this.#reader = this.#connect(url, { commandTimeout: 3 * blockMs });
    this.#reader.on('ready', () => void this.#read());
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isBusy(): boolean {
    return this.#pendingCount > 0;
  }

  get reason(): string {
    return this.#reason;
  }

  write(batch: Buffer): void {
    this.#pendingCount += 1;
    this.#pending = this.#writer
      .xadd(this.#key, 'MAXLEN', '~', keptEntries, '*', 'batch', batch)
      .catch((error: unknown) => this.#down(messageOf(error)))
      .finally(() => (this.#pendingCount -= 1));
    const nowMs = performance.now();
    if (nowMs - this.#touchedAtMs < touchedEveryMs) return;
    this.#touchedAtMs = nowMs;
    this.#writer.expire(this.#key, forgottenSeconds).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#pending;
    this.#isClosed = true;
    this.#writer.disconnect();
    this.#reader.disconnect();
  }

  #connect(url: string, options: RedisOptions): Client {
    const client = new (valkey())(url, {
      ...options,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: commandTimeoutMs,
      retryStrategy: (times) => Math.min(longestRetryMs, 50 * times),
    });
    client.on('error', (error: Error) => (this.#reason = messageOf(error)));
    client.on('close', () => this.#down(this.#reason));
    return client;
  }

  async #read(): Promise<void> {
    try {
      if (this.#lastId === null) {
        const [last] = await this.#reader.xrevrange(this.#key, '+', '-', 'COUNT', 1);
        this.#lastId = last?.[0] ?? '0-0';
      }
      while (!this.#isClosed) {
        if (!this.#isUp && this.#writer.status === 'ready') {
          await this.#writer.ping();
          this.#up();
        }
        const entries = await this.#next(this.#lastId);
        const last = entries.at(-1);
        if (last === undefined) continue;
        this.#lastId = last[0].toString();
        for (const [, [, batch]] of entries) if (batch !== undefined) this.#handlers.read(batch);
        await sleep(this.#handlers.pauseMs());
      }
    } catch (error) {
      this.#down(messageOf(error));
      // Connected, and yet not answering: begin anew.
      if (this.#isClosed) return;
      for (const client of [this.#reader, this.#writer]) if (client.status === 'ready') client.disconnect(true);
    }
  }

  /** What was written after `lastId`, waited for; nothing when nothing comes. */
  async #next(lastId: string): Promise<readonly [id: Buffer, fields: Buffer[]][]> {
    const found = await this.#reader.xreadBuffer('COUNT', 100, 'BLOCK', blockMs, 'STREAMS', this.#key, lastId);
    return found?.[0]?.[1] ?? [];
  }

  #up(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    // It may be another than before.
    this.#touchedAtMs = -Infinity;
    this.#handlers.up();
  }

  #down(reason: string): void {
    if (!this.#isUp || this.#isClosed) return;
    this.#isUp = false;
    this.#reason = reason;
    this.#handlers.down(reason);
  }
}

function valkey(): typeof Client {
  const { Redis } = createRequire(import.meta.url)('iovalkey') as { Redis: typeof Client };
  return Redis;
}
