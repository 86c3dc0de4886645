import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * Stands before an engine and takes down what reaches it, without understanding more than where requests begin. It can
 * break connections off, or close their engine's half.
 */
export class Tap {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly client: Socket; readonly engine: Socket }>();
  /** Attempts by request id. */
  readonly attempts = new Map<string, number>();

  private constructor(enginePort: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const engine = connect({ port: enginePort, host: '127.0.0.1', noDelay: true });
      const pair = { client, engine };
      this.#pairs.add(pair);
      const close = (): void => {
        this.#pairs.delete(pair);
        client.destroy();
        engine.destroy();
      };
      client.on('data', (chunk) => this.#count(chunk));
      client.pipe(engine);
      engine.pipe(client);
      // A port that nobody listens on is seen as such only before a connection is taken: a reset comes next to it.
      engine.on('error', () => client.resetAndDestroy()).on('close', close);
      client.on('error', close).on('close', close);
    });
  }

  static async before(enginePort: number): Promise<Tap> {
    const tap = new Tap(enginePort);
    await new Promise<void>((listening) => tap.#server.listen(0, '127.0.0.1', listening));
    return tap;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  reset(): void {
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** The engine's side says that it has no more to say, whatever it was saying. */
  halfClose(): void {
    for (const { client, engine } of this.#pairs) {
      engine.unpipe(client);
      client.end();
    }
  }

  close(): void {
    this.reset();
    this.#server.close();
  }

  #count(chunk: Buffer): void {
    const text = chunk.toString('latin1');
    if (!text.startsWith('POST /v1/')) return;
    const id = /\r\nx-request-id: ([^\r]+)/i.exec(text)?.[1];
    if (id !== undefined) this.attempts.set(id, (this.attempts.get(id) ?? 0) + 1);
  }
}
