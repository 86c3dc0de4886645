/**
 * A load generator in a process of its own: so many connections, each with one request under way. Started by `fork`;
 * takes an order, answers with a `LoadResult`.
 */
import { connect } from 'node:net';
import { crc32 } from 'node:zlib';
import { loadResult, takeOrders, type LoadResult } from '../lib/load-result.ts';
import { RequestMaker, type Traffic } from '../lib/traffic.ts';

export interface LoadOrder {
  readonly port: number;
  readonly traffic: Traffic;
  readonly connections: number;
  /** How many to ask in all. */
  readonly requests: number;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

/** One connection that asks again as soon as it is answered. */
class Asker {
  readonly #requests: RequestMaker;
  readonly #report: (micros: number, ok: boolean) => void;
  readonly #socket;
  #sentAtMs = 0;
  #checksum = 0;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the answer, head included, where it says; null while not known, -1 when it is chunked. */
  #expected: number | null = null;

  constructor(port: number, requests: RequestMaker, report: (micros: number, ok: boolean) => void) {
    this.#requests = requests;
    this.#report = report;
    this.#socket = connect(port, '127.0.0.1', () => this.#ask());
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', () => report(0, false));
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(): void {
    const request = Buffer.from(this.#requests.next().bytes);
    this.#checksum = crc32(request.subarray(request.indexOf(headEnd) + headEnd.length));
    this.#sentAtMs = performance.now();
    this.#socket.write(request);
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#expected === null) {
      const whole = Buffer.concat(this.#chunks);
      const end = whole.indexOf(headEnd);
      if (end < 0) return;
      const length = /content-length: (\d+)/i.exec(whole.toString('latin1', 0, end));
      this.#expected = length === null ? -1 : end + headEnd.length + Number(length[1]);
      this.#chunks = [whole];
    }
    if (this.#expected >= 0 ? this.#bytes < this.#expected : !this.#endsChunked()) return;
    const answer = Buffer.concat(this.#chunks);
    const arrived = /x-body-crc32: (\d+)/i.exec(answer.toString('latin1', 0, answer.indexOf(headEnd)));
    const ok = answer.toString('latin1', 9, 12) === '200' && Number(arrived?.[1]) === this.#checksum;
    this.#report((performance.now() - this.#sentAtMs) * 1000, ok);
    this.#chunks = [];
    this.#bytes = 0;
    this.#expected = null;
    this.#ask();
  }

  #endsChunked(): boolean {
    const last = this.#chunks.at(-1)!;
    const tail = last.length >= lastChunk.length ? last : Buffer.concat(this.#chunks.slice(-2));
    return tail.subarray(-lastChunk.length).equals(lastChunk);
  }
}

async function drive({ port, traffic, connections, requests: wanted }: LoadOrder): Promise<LoadResult> {
  const micros: number[] = [];
  let faults = 0;
  const requests = new RequestMaker(traffic);
  const startMs = performance.now();
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const askers = Array.from(
    { length: connections },
    () =>
      new Asker(port, requests, (took, ok) => {
        micros.push(took);
        if (!ok) faults++;
        if (micros.length === wanted) resolve();
      }),
  );
  await done;
  const seconds = (performance.now() - startMs) / 1000;
  for (const asker of askers) asker.close();
  return loadResult(micros, faults, seconds);
}

takeOrders(drive);
