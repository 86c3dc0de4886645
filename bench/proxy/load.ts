/**
 * A load generator in a process of its own: so many connections, each with one request under way, for so long. Started by
 * `fork`; takes an order, answers with a `LoadResult`. A connection asks again when its answer is whole.
 */
import { connect, type Socket } from 'node:net';
import { loadResult, takeOrders, type LoadResult } from '../lib/load-result.ts';
import { RequestMaker, type Traffic } from '../lib/traffic.ts';

export interface LoadOrder {
  readonly port: number;
  readonly traffic: Traffic;
  readonly connections: number;
  readonly seconds: number;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');
const none = Buffer.alloc(0);

class Asker {
  readonly #requests: RequestMaker;
  readonly #report: (micros: number, isGood: boolean) => void;
  readonly #socket: Socket;
  #sentAtMs = 0;
  #bodyBytes = 0;
  #head = '';
  #isGood = true;
  /** Of the answer that is still to come; null while its head is not whole, -1 when it is chunked. */
  #missing: number | null = null;
  #tail: Buffer = none;
  #ended = false;

  constructor(port: number, requests: RequestMaker, report: (micros: number, isGood: boolean) => void) {
    this.#requests = requests;
    this.#report = report;
    this.#socket = connect(port, '127.0.0.1', () => this.#ask());
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (data) => this.#take(data));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => {
      if (!this.#ended) report(0, false);
    });
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #ask(): void {
    const { bytes, bodyBytes } = this.#requests.next();
    this.#bodyBytes = bodyBytes;
    this.#head = '';
    this.#tail = none;
    this.#missing = null;
    this.#sentAtMs = performance.now();
    this.#socket.write(Buffer.from(bytes));
  }

  #take(data: Buffer): void {
    let rest = data;
    if (this.#missing === null) {
      const end = data.indexOf(headEnd);
      this.#head += data.toString('latin1', 0, end < 0 ? data.length : end + headEnd.length);
      if (end < 0) return;
      rest = data.subarray(end + headEnd.length);
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head);
      this.#missing = length === null ? -1 : Number(length[1]);
      const arrived = /x-body-bytes: *(\d+)/i.exec(this.#head);
      // Some routers write the body anew, with more in it.
      this.#isGood = this.#head.startsWith('HTTP/1.1 200') && Number(arrived?.[1]) >= 0.9 * this.#bodyBytes;
    }
    if (this.#missing >= 0) {
      this.#missing -= rest.length;
      if (this.#missing > 0) return;
    } else {
      const enough = rest.length >= lastChunk.length;
      this.#tail = (enough ? rest : Buffer.concat([this.#tail, rest])).subarray(-lastChunk.length);
      if (!this.#tail.equals(lastChunk)) return;
    }
    this.#report((performance.now() - this.#sentAtMs) * 1000, this.#isGood && this.#missing <= 0);
    if (!this.#ended) this.#ask();
  }
}

async function drive({ port, traffic, connections, seconds: wanted }: LoadOrder): Promise<LoadResult> {
  const micros: number[] = [];
  let faults = 0;
  const requests = new RequestMaker(traffic);
  const startMs = performance.now();
  const askers = Array.from(
    { length: connections },
    () =>
      new Asker(port, requests, (took, isGood) => {
        if (isGood) micros.push(took);
        else faults++;
      }),
  );
  await new Promise((done) => setTimeout(done, wanted * 1000));
  const seconds = (performance.now() - startMs) / 1000;
  for (const asker of askers) asker.close();
  return loadResult(micros, faults, seconds);
}

takeOrders(drive);
