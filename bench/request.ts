/**
 * What a request costs beside its HTTP and its parsing: putting the question, hashing, deciding, recording, counting, the
 * access line, the end. Pushed through the gateway's own parts in this process, without sockets, 64 under way at a time.
 * `npm run bench:request [-- CELLS ENDPOINTS REQUESTS]`, e.g. `-- A,C 16,256`; CPU of this process, its collector's
 * threads included: median of five rounds, from the least to the most.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { ParsedRequest } from '../src/api/request.ts';
import { wallClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/log.ts';
import { Core } from '../src/door/core.ts';
import { writeEppLog } from '../src/door/epp-log.ts';
import { decisionHeaders, finishFlight, questionOf, readRequest } from '../src/door/question.ts';
import { prefixKeyOf } from '../src/fleet/prefix-index/prefix-key.ts';
import { model, RequestMaker, type Traffic } from './lib/traffic.ts';

const completion = { path: '/v1/completions', bodyBytes: 200, groups: 1, sharedBytes: 20, stream: false } as const;
const chat = { path: '/v1/chat/completions', stream: false } as const;
const chat8 = { ...chat, bodyBytes: 8 * 1024, groups: 32, sharedBytes: 2 * 1024 } as const;
const chat32 = { ...chat, bodyBytes: 32 * 1024, groups: 32, sharedBytes: 24 * 1024 } as const;
const chat64 = { ...chat, bodyBytes: 64 * 1024, groups: 64, sharedBytes: 48 * 1024 } as const;
const cells: Readonly<Record<string, Traffic>> = {
  A: completion,
  B: chat8,
  '32K': chat32,
  C: chat64,
};
const inFlight = 64;
const rounds = 5;
const headers = { host: 'bench', 'content-type': 'application/json', 'content-length': '200' };
/** What tells a prompt from the others of its group. */
const serialDigits = 12;

interface Prepared {
  readonly parsed: ParsedRequest;
  readonly text: Buffer;
  readonly serialAt: number;
}

/** A request of each group, read once: only its prompt's serial number changes. */
function prepare(traffic: Traffic): Prepared[] {
  const maker = new RequestMaker(traffic);
  return Array.from({ length: traffic.groups }, () => {
    const { bytes, bodyBytes } = maker.next();
    const body = Buffer.from(bytes.subarray(bytes.length - bodyBytes));
    const parsed = readRequest(traffic.path, body, headers, { rewritten: (request) => request });
    const { buffer, byteOffset, byteLength } = parsed.prompt.bytes;
    const text = Buffer.from(buffer, byteOffset, byteLength);
    return { parsed, text, serialAt: text.indexOf('1'.repeat(serialDigits / 2)) };
  });
}

/** Everything behind a front door, with engines that are all alike and idle. */
async function startCore(endpoints: number, folder: string): Promise<Core> {
  const core = await Core.create({}, createLogger('bench'));
  const { fleet, journal } = core;
  for (let i = 0; i < endpoints; i++) {
    const slot = fleet.add({ name: `decode-${i}`, address: `10.0.0.${i}:8000`, labels: {} });
    fleet.setModels(slot, [{ id: model }]);
    const gauges = { waiting: 0, running: 0, kvUsage: 0.1, kvCapacityTokens: 500_000 };
    fleet.setGauges(slot, gauges, wallClock.nowMs());
  }
  // The console's series count along.
  await core.adminListener({ ready: true, handle: () => undefined, question: () => undefined });
  writeEppLog(journal, { target: join(folder, 'epp.log'), verbosity: 2, namespace: 'default' });
  return core;
}

/** Runs requests through a core, each ending when 64 more have begun. */
class Runner {
  readonly #core: Core;
  readonly #prepared: readonly Prepared[];
  readonly #ends: (() => void)[] = [];
  #serial = 0;
  #underWay = 0;

  constructor(core: Core, prepared: readonly Prepared[]) {
    this.#core = core;
    this.#prepared = prepared;
  }

  async run(requests: number): Promise<void> {
    for (let begun = 1; begun <= requests; begun++) {
      this.#begin();
      if (++this.#underWay > inFlight) this.end();
      if (begun % 16 === 0) await turn();
    }
  }

  end(): void {
    this.#ends.shift()?.();
    this.#underWay -= 1;
  }

  #begin(): void {
    const { fleet, dispatch, metrics, sessions, objects } = this.#core;
    const { parsed, text, serialAt } = this.#prepared[this.#serial % this.#prepared.length]!;
    const digits = String(this.#serial++).padStart(serialDigits, '1');
    text.write(digits, serialAt, 'latin1');
    const requestId = `0e0e0e0e-0000-4000-8000-${digits}`;
    const { request, key } = questionOf(parsed, requestId, headers, fleet, sessions, objects, null);
    dispatch.place(request, key, {
      placed: (flight) => {
        this.#ends.push(() => {
          flight.firstToken(200);
          decisionHeaders(flight, flight.endpoint.name);
          const tokens = { promptTokens: 50, cachedTokens: null, completionTokens: 50 };
          finishFlight(flight, parsed, key, fleet, { status: 200, complete: true, ...tokens, text: ' word' });
          metrics.requests.sizes(flight.decision, parsed.body.length, 400);
        });
      },
      refused: (error) => {
        throw error;
      },
      takeBack: () => false,
    });
  }
}

async function cpuUs(times: number, step: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await step();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

async function measure(name: string, traffic: Traffic, endpoints: number, requests: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-bench-'));
  const core = await startCore(endpoints, folder);
  const prepared = prepare(traffic);
  const runner = new Runner(core, prepared);
  // The compiler is at work for longer than one takes.
  for (let times = 0; times < 3; times++) await runner.run(requests);
  const hash = (): void => {
    for (let i = 0; i < requests; i++) {
      const { bytes } = prepared[i % prepared.length]!.parsed.prompt;
      prefixKeyOf({ model, cacheSalt: null, bytes }, core.fleet.prefixSeed);
    }
  };
  hash();
  const hashUs = await cpuUs(requests, hash);
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) costs.push(await cpuUs(requests, () => runner.run(requests)));
  costs.sort((a, b) => a - b);
  const [least, median, most] = [0, rounds >> 1, rounds - 1].map((at) => costs[at]!.toFixed(1));
  process.stdout.write(
    `${name.padEnd(3)} ${String(endpoints).padStart(4)} endpoints  ${median} µs (${least}–${most}), hashing ${hashUs.toFixed(1)} of them\n`,
  );
  await core.close();
  rmSync(folder, { recursive: true });
}

const [names = 'A,B,32K,C', endpointCounts = '16', requests = '20000'] = process.argv.slice(2);
for (const name of names.split(',')) {
  for (const endpoints of endpointCounts.split(','))
    await measure(name, cells[name]!, Number(endpoints), Number(requests));
}
process.exit();
