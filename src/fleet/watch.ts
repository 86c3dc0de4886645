import type { Clock, Timer } from '../base/clock.ts';
import { engineOf, readGauges } from './gauges/gauges.ts';
import { PrometheusText } from './gauges/prometheus-text.ts';
import type { Fleet, ServedModel } from './fleet.ts';
import { metricsOfRank, ranksIn } from './ranks.ts';
import type { ProbeResult } from './health.ts';
import { NoAnswer, type HttpGetter } from './http-get.ts';

const tickMs = 50;
const urgentTickMs = 20;
const modelsEveryMs = 10_000;
const modelsWhileNotReadyMs = 200;
const modelsTimeoutMs = 2000;
/** So often that none is older than 250 ms where there is traffic, and 10 s where there is none. */
const gaugesEveryMs = 150;
const gaugesWhenIdleMs = 9000;
const gaugesAfterFailureMs = 500;
const gaugesTimeoutMs = 1000;
const probeTimeoutMs = 1000;
/** So often that engines which close an idle connection after 5 s do not (http-get.ts, http1/client-connection.ts). */
const healthEveryMs = 3800;
const healthTimeoutMs = 1500;
/** Something suspicious is looked into at most so often. */
const suspicionEveryMs = 500;
/** An idle endpoint is out after so many checks without an answer. */
const silentChecksWhenIdle = 2;
const canaryTimeoutMs = 10_000;
/** So much later than it should have ended, a wait says that this process stood still. */
const lateMs = 500;

interface Watched {
  readonly slot: number;
  readonly name: string;
  readonly address: string;
  /** Of a data-parallel engine, which of its ranks. */
  readonly rank: number | undefined;
  modelsAtMs: number;
  gaugesAskedAtMs: number;
  healthAtMs: number;
  askingModels: boolean;
  askingGauges: boolean;
  /** Its health is being asked: whether it still answers, or, when it is out, whether it is back. */
  askingHealth: boolean;
  healthAskedAtMs: number;
  silentChecks: number;
  startTime: number | null;
}

/** Asks each endpoint what it serves, how loaded it is, and, when it is out, whether it is back. */
export class FleetWatch {
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #http: HttpGetter;
  readonly #watched = new Map<string, Watched>();
  readonly #usesCanary: boolean;
  readonly #foundRanks: (address: string, ranks: readonly number[]) => void;
  #timer: Timer | null = null;

  /**
   * `usesCanary`: an endpoint that was out must answer one token before it is used again. `foundRanks` hears of the
   * data-parallel ranks that an engine's metrics tell of, each time they are read.
   */
  constructor(
    fleet: Fleet,
    clock: Clock,
    http: HttpGetter,
    usesCanary: boolean,
    foundRanks: (address: string, ranks: readonly number[]) => void,
  ) {
    this.#fleet = fleet;
    this.#clock = clock;
    this.#http = http;
    this.#usesCanary = usesCanary;
    this.#foundRanks = foundRanks;
  }

  start(): void {
    this.#tick();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Endpoints were added or removed: new ones are asked at once. */
  refresh(): void {
    const nowMs = this.#clock.nowMs();
    const present = new Set<string>();
    for (const slot of this.#fleet.slots) {
      const endpoint = this.#fleet.endpointAt(slot)!;
      present.add(endpoint.name);
      const known = this.#watched.get(endpoint.name);
      if (known?.slot === slot && known.address === endpoint.address) continue;
      this.#watched.set(endpoint.name, {
        slot,
        name: endpoint.name,
        address: endpoint.address,
        rank: endpoint.rank,
        modelsAtMs: nowMs,
        gaugesAskedAtMs: -Infinity,
        healthAtMs: nowMs + healthEveryMs,
        askingModels: false,
        askingGauges: false,
        askingHealth: false,
        healthAskedAtMs: -Infinity,
        silentChecks: 0,
        startTime: null,
      });
    }
    for (const name of this.#watched.keys()) if (!present.has(name)) this.#watched.delete(name);
    for (const watched of this.#watched.values()) this.#visit(watched, nowMs);
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    const suspects = new Set(this.#fleet.takeSuspects());
    for (const watched of this.#watched.values()) {
      if (suspects.has(watched.slot)) {
        watched.healthAtMs = Math.max(nowMs, watched.healthAskedAtMs + suspicionEveryMs);
        watched.modelsAtMs = Math.min(watched.modelsAtMs, watched.healthAtMs);
      }
      this.#visit(watched, nowMs);
    }
    this.#timer = this.#clock.after(this.#fleet.anyReady ? tickMs : urgentTickMs, () => this.#tick());
  }

  #visit(watched: Watched, nowMs: number): void {
    if (!watched.askingHealth) {
      if (this.#fleet.probeIsDue(watched.slot, nowMs)) void this.#probe(watched);
      else if (nowMs >= watched.healthAtMs && this.#fleet.isReady(watched.slot)) void this.#check(watched);
    }
    if (!watched.askingModels && nowMs >= watched.modelsAtMs && this.#fleet.isDeclaredReady(watched.slot)) {
      void this.#askModels(watched);
    }
    const isBusy = this.#fleet.ledger.inFlight[watched.slot]! > 0;
    const gaugesAtMs = watched.gaugesAskedAtMs + (isBusy ? gaugesEveryMs : gaugesWhenIdleMs);
    if (!watched.askingGauges && nowMs >= gaugesAtMs && this.#fleet.isReady(watched.slot)) {
      void this.#askGauges(watched, nowMs);
    }
  }

  /** False when the slot has been given to somebody else while we waited. */
  #isCurrent(watched: Watched): boolean {
    return this.#watched.get(watched.name) === watched;
  }

  async #askModels(watched: Watched): Promise<void> {
    watched.askingModels = true;
    let models: ServedModel[] | null = null;
    let refused = false;
    try {
      const { status, body } = await this.#http.get(watched.address, '/v1/models', modelsTimeoutMs);
      if (status === 200) models = servedModels(body);
      else refused = status >= 500;
    } catch (error) {
      // A slow answer proves nothing; a port at which nobody listens does.
      refused = error instanceof NoAnswer && error.isRefused;
      if (refused && this.#isCurrent(watched)) this.#fleet.failed(watched.slot, 'connect', this.#clock.nowMs());
    }
    watched.askingModels = false;
    if (!this.#isCurrent(watched)) return;
    if (models !== null || refused) this.#fleet.setModels(watched.slot, models);
    watched.modelsAtMs = this.#clock.nowMs() + (models === null ? modelsWhileNotReadyMs : modelsEveryMs);
  }

  async #askGauges(watched: Watched, nowMs: number): Promise<void> {
    watched.askingGauges = true;
    watched.gaugesAskedAtMs = nowMs;
    try {
      const { status, body } = await this.#http.get(watched.address, '/metrics', gaugesTimeoutMs);
      if (this.#isCurrent(watched) && status === 200) this.#readMetrics(watched, body);
    } catch {
      // The gauges' age tells.
      watched.gaugesAskedAtMs = this.#clock.nowMs() - gaugesWhenIdleMs + gaugesAfterFailureMs;
    }
    watched.askingGauges = false;
  }

  #readMetrics(watched: Watched, text: string): void {
    const whole = new PrometheusText(text);
    const page = watched.rank === undefined ? whole : new PrometheusText(metricsOfRank(text, watched.rank));
    const engine = engineOf(page);
    if (engine !== null) this.#fleet.setEngine(watched.slot, engine);
    const gauges = readGauges(page);
    if (gauges !== null) this.#fleet.setGauges(watched.slot, gauges, this.#clock.nowMs());
    const startTime = page.samples('process_start_time_seconds')[0]?.value ?? null;
    if (watched.startTime !== null && startTime !== null && startTime !== watched.startTime) {
      this.#fleet.restarted(watched.slot);
    }
    watched.startTime = startTime;
    if (engine === 'vllm') this.#foundRanks(watched.address, ranksIn(whole));
  }

  /** Whether an endpoint in use still answers. */
  async #check(watched: Watched): Promise<void> {
    watched.askingHealth = true;
    const askedAtMs = this.#clock.nowMs();
    watched.healthAskedAtMs = askedAtMs;
    const result = await this.#health(watched.address, healthTimeoutMs);
    watched.askingHealth = false;
    const nowMs = this.#clock.nowMs();
    watched.healthAtMs = nowMs + healthEveryMs;
    if (!this.#isCurrent(watched)) return;
    const { slot } = watched;
    if (result !== 'silent') {
      watched.silentChecks = 0;
      if (result !== 'well') this.#fleet.failed(slot, result === 'refused' ? 'connect' : 'unhealthy', nowMs);
      return;
    }
    // Where it was we who were late, or an answer came meanwhile, the silence proves nothing.
    if (nowMs - askedAtMs > healthTimeoutMs + lateMs || this.#fleet.heardAtMs(slot) > askedAtMs) return;
    watched.silentChecks += 1;
    const needed = this.#fleet.ledger.inFlight[slot]! > 0 ? 1 : silentChecksWhenIdle;
    if (watched.silentChecks >= needed) this.#fleet.failed(slot, 'unresponsive', nowMs);
    else this.#fleet.suspect(slot);
  }

  /** Whether an endpoint that is out is back. */
  async #probe(watched: Watched): Promise<void> {
    watched.askingHealth = true;
    watched.healthAskedAtMs = this.#clock.nowMs();
    let result = await this.#health(watched.address, probeTimeoutMs);
    if (result === 'well' && this.#usesCanary && !(await this.#answersCanary(watched))) result = 'unhealthy';
    watched.askingHealth = false;
    if (!this.#isCurrent(watched)) return;
    this.#fleet.probed(watched.slot, result, this.#clock.nowMs());
    if (result !== 'well') return;
    watched.silentChecks = 0;
    if (!watched.askingModels) void this.#askModels(watched);
  }

  async #health(address: string, timeoutMs: number): Promise<ProbeResult> {
    try {
      // One without the route answers 404, which is an answer.
      return (await this.#http.get(address, '/health', timeoutMs)).status < 500 ? 'well' : 'unhealthy';
    } catch (error) {
      return error instanceof NoAnswer && error.isRefused ? 'refused' : 'silent';
    }
  }

  /** Whether it gives a token. */
  async #answersCanary({ slot, address }: Watched): Promise<boolean> {
    const [model] = this.#fleet.modelsAt(slot).keys();
    if (model === undefined) return true;
    const body = { model, prompt: 'Hello', max_tokens: 1 };
    try {
      return (await this.#http.post(address, '/v1/completions', body, canaryTimeoutMs)).status === 200;
    } catch {
      return false;
    }
  }
}

/** What an OpenAI model list holds; null when it is not one. */
function servedModels(body: string): ServedModel[] | null {
  try {
    const { data } = JSON.parse(body) as { data?: unknown };
    if (!Array.isArray(data)) return null;
    return data.flatMap((model: unknown) => {
      const { id, created, max_model_len: limit, root, parent } = (model ?? {}) as Record<string, unknown>;
      if (typeof id !== 'string') return [];
      return [
        {
          id,
          createdSeconds: wholeNumber(created),
          maxModelTokens: wholeNumber(limit),
          root: typeof root === 'string' ? root : undefined,
          parent: typeof parent === 'string' ? parent : undefined,
        },
      ];
    });
  } catch {
    return null;
  }
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined;
}
