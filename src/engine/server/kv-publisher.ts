import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { SignalboxError } from '../../base/errors.ts';
import { ZmtpConnection, type ZmtpType } from '../../base/zmtp.ts';
import type { KvEventsConfig } from './kv-events.ts';

/** A subscriber that is so far behind misses messages, as with ZeroMQ's high-water mark. */
const mostPendingBytes = 64 * 1024 * 1024;
const endOfReplay = Buffer.alloc(8, 0xff);
const nothing = Buffer.alloc(0);

interface Subscriber {
  readonly connection: ZmtpConnection;
  readonly topics: Buffer[];
}

/** Publishes batches of KV events as vLLM does: a PUB socket, and a ROUTER socket that sends past ones again. */
export class KvPublisher {
  /** With the ports that were really taken. */
  readonly config: KvEventsConfig;
  readonly #topic: Buffer;
  readonly #servers: readonly Server[];
  readonly #subscribers = new Set<Subscriber>();
  readonly #connections = new Set<ZmtpConnection>();
  readonly #kept: { readonly number: Buffer; readonly payload: Buffer }[] = [];
  /** Number of the oldest batch kept. */
  #firstKept = 0;
  #next = 0;

  private constructor(config: KvEventsConfig, servers: readonly Server[]) {
    this.config = config;
    this.#topic = Buffer.from(config.topic);
    this.#servers = servers;
  }

  /** Listens at the configured addresses; port 0 takes a free one. @throws SignalboxError when one cannot be had. */
  static async start(config: KvEventsConfig): Promise<KvPublisher> {
    const servers: Server[] = [];
    const open = async (address: string): Promise<{ server: Server; address: string }> => {
      const server = createServer();
      const bound = await listen(server, address).catch((error: unknown) => {
        for (const other of servers) other.close();
        throw error;
      });
      servers.push(server);
      return { server, address: bound };
    };
    const live = await open(config.endpoint);
    const replay = config.replay_endpoint === null ? null : await open(config.replay_endpoint);
    const publisher = new KvPublisher(
      { ...config, endpoint: live.address, replay_endpoint: replay?.address ?? null },
      servers,
    );
    publisher.#serve(live.server, 'PUB', (connection) => publisher.#subscribe(connection));
    if (replay !== null) publisher.#serve(replay.server, 'ROUTER', (connection) => publisher.#answer(connection));
    return publisher;
  }

  publish(payload: Buffer): void {
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(this.#next++));
    this.#kept.push({ number, payload });
    if (this.#kept.length > this.config.buffer_steps) {
      this.#kept.shift();
      this.#firstKept += 1;
    }
    for (const { connection, topics } of this.#subscribers) {
      const wants = topics.some((topic) => this.#topic.subarray(0, topic.length).equals(topic));
      if (wants && connection.pendingBytes < mostPendingBytes) connection.send([this.#topic, number, payload]);
    }
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const connection of this.#connections) connection.close();
  }

  #serve(server: Server, type: ZmtpType, accept: (connection: ZmtpConnection) => void): void {
    server.on('connection', (socket) => {
      const connection = new ZmtpConnection(socket, type);
      this.#connections.add(connection);
      connection.on('close', () => this.#connections.delete(connection));
      accept(connection);
    });
  }

  #subscribe(connection: ZmtpConnection): void {
    const subscriber: Subscriber = { connection, topics: [] };
    this.#subscribers.add(subscriber);
    connection.on('close', () => this.#subscribers.delete(subscriber));
    connection.on('message', ([frame]) => {
      const topic = Buffer.from(frame!.subarray(1));
      if (frame![0] === 1) subscriber.topics.push(topic);
      else {
        const at = subscriber.topics.findIndex((each) => each.equals(topic));
        if (at >= 0) subscriber.topics.splice(at, 1);
      }
    });
  }

  #answer(connection: ZmtpConnection): void {
    connection.on('message', (frames) => {
      const asked = frames.at(-1)!;
      if (asked.length !== 8) return;
      const from = Number(asked.readBigUInt64BE());
      for (const { number, payload } of this.#kept.slice(Math.max(0, from - this.#firstKept))) {
        connection.send([nothing, this.#topic, number, payload]);
      }
      connection.send([nothing, nothing, endOfReplay, nothing]);
    });
  }
}

/** Listens at `tcp://HOST:PORT`; the address with the port that was taken. */
function listen(server: Server, address: string): Promise<string> {
  const match = /^tcp:\/\/(\*|\[[^\]]+\]|[^:]+):(\d+)$/.exec(address);
  if (match === null) {
    throw new SignalboxError('usage', `--kv-events-config: ${address}: expected tcp://HOST:PORT, e.g. tcp://*:5557`);
  }
  const [, host, port] = match as unknown as [string, string, string];
  return new Promise((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be had (${error.code})`;
      failed(new SignalboxError('environment', `--kv-events-config: ${address} ${reason}; choose another port`));
    });
    const at = host === '*' ? {} : { host: host.replace(/^\[|\]$/g, '') };
    server.listen({ ...at, port: Number(port) }, () => {
      done(`tcp://${host}:${(server.address() as AddressInfo).port}`);
    });
  });
}
