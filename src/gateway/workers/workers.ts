import { createServer } from 'node:net';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { OtherWorkers } from '../../admin/other-workers.ts';
import { SignalboxError } from '../../base/errors.ts';
import type { HandedDown } from '../../base/handed-down.ts';
import type { Logger } from '../../base/log.ts';
import type { FamilySnapshot } from '../../base/metrics.ts';
import type { Core } from '../../door/core.ts';
import { vacate, type WorkerPlace } from '../../door/worker-place.ts';
import { bind, portOf } from '../../proxy/listen.ts';
import type { GatewayOptions } from '../gateway.ts';
import type { ServingOptions } from '../serving.ts';
import { askAdmin, familiesPath, jsonOf } from './admin-ports.ts';
import { decisionEvents } from './decision-events.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

const module = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
const answerMs = 2000;
/** One that ends sooner than that after its start is not started again at once. */
const shortLifeMs = 1000;
/** Beyond the time that requests are given, for a thread to end by itself. */
const endingMs = 2000;

interface Seat {
  readonly rank: number;
  worker: Worker | null;
  descriptor: number | null;
  startedAtMs: number;
}

/** The further threads of a gateway: started, told what the first one learns of endpoints, and started again should one die. */
export class Workers implements OtherWorkers {
  readonly #core: Core;
  readonly #options: GatewayOptions;
  readonly #place: WorkerPlace;
  readonly #log: Logger;
  readonly #seats: readonly Seat[];
  #port = 0;
  #isClosing = false;

  constructor(core: Core, options: GatewayOptions, place: WorkerPlace, log: Logger) {
    this.#core = core;
    this.#options = options;
    this.#place = place;
    this.#log = log;
    this.#seats = Array.from({ length: place.count - 1 }, (_, at) => ({
      ...{ rank: at + 1, worker: null, descriptor: null, startedAtMs: 0 },
    }));
    core.others = this;
    core.onLead = (lead) => this.#tellAll({ what: 'lead', lead });
  }

  /**
   * A port that nobody listens at yet, and all threads may: each has a socket of its own there, and the system spreads
   * connections over them. @throws SignalboxError
   */
  async sharedPort(host: string, port: number): Promise<number> {
    const server = createServer();
    await bind(server, { host, port, portFlag: '--port' });
    const found = portOf(server);
    await new Promise((resolve) => server.close(resolve));
    return found;
  }

  /** Resolves when all of them listen. @throws SignalboxError where one cannot. */
  async start(port: number, handedDown: HandedDown | null): Promise<void> {
    this.#port = port;
    const starts = this.#seats.map(async (seat, at) => {
      const failure = await this.#start(seat, handedDown?.more[at] ?? null, handedDown !== null);
      if (failure !== null) throw new SignalboxError('environment', `worker ${seat.rank}: ${failure}`);
    });
    await Promise.all(starts);
  }

  /** Of the sockets that they listen with. */
  get descriptors(): number[] {
    return this.#seats.flatMap(({ descriptor }) => descriptor ?? []);
  }

  reload(): void {
    this.#tellAll({ what: 'reload' });
  }

  /** Ends them: the requests that they have finish within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#seats.map(({ worker }) => worker && ended(worker, graceMs)));
  }

  async get(path: string): Promise<unknown[]> {
    const answers = this.#running.map(async (worker) => jsonOf(await ask(worker, path, AbortSignal.timeout(answerMs))));
    const settled = await Promise.allSettled(answers);
    return settled.flatMap((each) => (each.status === 'fulfilled' && each.value !== null ? [each.value] : []));
  }

  families(): Promise<FamilySnapshot[][]> {
    return this.get(familiesPath) as Promise<FamilySnapshot[][]>;
  }

  listen(heard: Parameters<OtherWorkers['listen']>[0]): () => void {
    const stop = new AbortController();
    for (const seat of this.#seats) void this.#listenTo(seat, heard, stop.signal);
    return () => stop.abort();
  }

  /** For as long as somebody listens, also to whoever takes the seat later. */
  async #listenTo(seat: Seat, heard: Parameters<OtherWorkers['listen']>[0], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isClosing) {
      try {
        const { worker } = seat;
        if (worker !== null) await decisionEvents(await ask(worker, '/api/events', signal), heard);
      } catch {
        // It has ended, or is not there yet.
      }
      await new Promise((resolve) => setTimeout(resolve, answerMs / 4).unref());
    }
  }

  get #running(): Worker[] {
    return this.#seats.flatMap(({ worker }) => worker ?? []);
  }

  #tellAll(message: ToWorker): void {
    for (const worker of this.#running) worker.postMessage(message);
  }

  /** Null once it listens; why it does not where it cannot. */
  #start(seat: Seat, descriptor: number | null, waitUntilReady: boolean): Promise<string | null> {
    const { connector = null } = this.#options;
    const options = { ...threadOptions(this.#options), place: { ...this.#place, rank: seat.rank } };
    const start: WorkerStart = { options, connector, port: this.#port, descriptor, waitUntilReady };
    const worker = new Worker(module, { workerData: start, name: `worker ${seat.rank}` });
    seat.worker = worker;
    seat.startedAtMs = performance.now();
    worker.postMessage({ what: 'lead', lead: this.#core.lead() } satisfies ToWorker);
    return new Promise((resolve) => {
      let failure: string | null = null;
      worker.on('message', (message: FromWorker) => {
        switch (message.what) {
          case 'listening':
            seat.descriptor = message.descriptor;
            return resolve(null);
          case 'failed':
            failure = message.reason;
            return;
          case 'observed':
            return this.#core.observe(message.observed);
          case 'log':
            return this.#logLine(seat.rank, message.line);
        }
      });
      worker.on('error', (error: unknown) => {
        failure = error instanceof Error ? error.message : String(error);
        this.#log.error({ err: error, worker: seat.rank }, 'a worker failed');
      });
      worker.once('exit', () => {
        this.#gone(seat, failure);
        resolve(failure ?? 'it ended before it listened');
      });
    });
  }

  /** What it had on its way goes with it; another one takes its seat. */
  #gone(seat: Seat, failure: string | null): void {
    seat.worker = null;
    seat.descriptor = null;
    vacate(this.#place, seat.rank);
    if (this.#isClosing) return;
    const lived = performance.now() - seat.startedAtMs;
    this.#log.error({ worker: seat.rank, failure }, 'a worker has ended; another one takes its place');
    setTimeout(
      () => {
        if (!this.#isClosing) void this.#startAgain(seat);
      },
      Math.max(0, shortLifeMs - lived),
    ).unref();
  }

  async #startAgain(seat: Seat): Promise<void> {
    const failure = await this.#start(seat, null, true);
    if (failure === null) this.#log.info({ worker: seat.rank }, 'listening again');
  }

  #logLine(rank: number, line: string): void {
    const { level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
    // Of whoever writes it.
    delete rest['time'];
    delete rest['name'];
    const known = level === 'error' || level === 'warn' || level === 'fatal' ? level : 'info';
    this.#log[known]({ ...rest, worker: rank }, String(msg));
  }
}

/** What goes to other threads: they find no endpoints themselves and have no admin port. */
function threadOptions(options: GatewayOptions): ServingOptions {
  const own = ['log', 'kubernetes', 'handedDown', 'connector', 'endpointsFile', 'endpointsDns'];
  const rest = Object.fromEntries(Object.entries(options).filter(([name]) => !own.includes(name))) as ServingOptions;
  // A plain copy, as what goes to another thread has to be.
  const environment = { ...(options.policy?.environment ?? process.env) };
  return { ...rest, policy: { ...options.policy, environment } };
}

function ask(worker: Worker, path: string, signal: AbortSignal): ReturnType<typeof askAdmin> {
  return askAdmin(path, (port) => worker.postMessage({ what: 'admin', port } satisfies ToWorker, [port]), signal);
}

async function ended(worker: Worker, graceMs: number): Promise<void> {
  const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage({ what: 'drain', graceMs } satisfies ToWorker);
  const late = setTimeout(() => void worker.terminate(), graceMs + endingMs);
  await exit;
  clearTimeout(late);
}
