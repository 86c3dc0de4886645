import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { BodyRoom } from '../../../src/api/body-room.ts';
import type { HttpEngine } from '../../../src/proxy/http-engines.ts';
import { serve } from '../../../src/proxy/http-engine.ts';

/** A request as a server understood it. */
export interface Understood {
  readonly method: string;
  readonly target: string;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

export const largestBodyBytes = 100_000;

/**
 * A server that answers each request with a line that says how it was understood; `saw` is told of each head before its
 * body has come.
 */
export async function startEcho(
  t: TestContext,
  engine: HttpEngine,
  saw: (head: Omit<Understood, 'body'>) => void = () => undefined,
): Promise<number> {
  const room = new BodyRoom(100 * largestBodyBytes);
  const server = await serve(
    engine,
    (exchange) => {
      saw({ method: exchange.method, target: exchange.target, headers: { ...exchange.headers } });
      exchange.readBody(
        { limitBytes: largestBodyBytes, room },
        (body) => {
          const { method, target, headers } = exchange;
          const understood: Understood = { method, target, headers: { ...headers }, body: body.toString('base64') };
          const line = `${JSON.stringify(understood)}\n`;
          exchange.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(line) });
          exchange.end(line);
        },
        (error) => {
          exchange.writeHead(error.status, {});
          exchange.end();
        },
      );
    },
    { host: '127.0.0.1', port: 0, portFlag: '--port' },
  );
  t.after(() => server.drain(0));
  return server.port;
}

/** A slow machine may take long to begin. */
const firstByteMs = 5_000;

/** Sends pieces on a connection of their own; gives all that is answered until the server closes it or falls silent. */
export function exchange(port: number, pieces: readonly (string | Buffer)[], silentMs = 400): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let answer = '';
    const done = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(firstByteMs, done);
    socket.setEncoding('latin1').on('data', (text: string) => {
      socket.setTimeout(silentMs);
      answer += text;
    });
    socket.on('error', done).on('close', done);
    const sendNext = (at: number): void => {
      if (at === pieces.length || socket.destroyed) return;
      socket.write(pieces[at]!, 'latin1', () => setImmediate(sendNext, at + 1));
    };
    socket.on('connect', () => sendNext(0));
  });
}

export function understoodIn(answer: string): Understood[] {
  return [...answer.matchAll(/^\{"method":.*$/gm)].map(([line]) => JSON.parse(line) as Understood);
}

export function statusesIn(answer: string): number[] {
  return [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)]
    .map(([, status]) => Number(status))
    .filter((each) => each >= 200);
}
