import type { Clock, Timer } from '../base/clock.ts';
import { readGauges } from './gauges/gauges.ts';
import { samples } from './gauges/prometheus-text.ts';
import type { Fleet, ServedModel } from './fleet.ts';
import type { HttpGetter } from './http-get.ts';

const tickMs = 50;
const modelsEveryMs = 10_000;
const modelsWhileNotReadyMs = 200;
const modelsTimeoutMs = 2000;
/** So often that none is older than 250 ms where there is traffic, and 10 s where there is none. */
const gaugesEveryMs = 150;
const gaugesWhenIdleMs = 8000;
const gaugesAfterFailureMs = 500;
const gaugesTimeoutMs = 1000;
const probeTimeoutMs = 1000;

interface Watched {
  readonly slot: number;
  readonly name: string;
  readonly address: string;
  modelsAtMs: number;
  gaugesAskedAtMs: number;
  askingModels: boolean;
  askingGauges: boolean;
  probing: boolean;
  startTime: number | null;
}

/** Asks each endpoint what it serves, how loaded it is, and, when it is out, whether it is back. */
export class FleetWatch {
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #http: HttpGetter;
  readonly #watched = new Map<string, Watched>();
  #timer: Timer | null = null;

  constructor(fleet: Fleet, clock: Clock, http: HttpGetter) {
    this.#fleet = fleet;
    this.#clock = clock;
    this.#http = http;
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
        modelsAtMs: nowMs,
        gaugesAskedAtMs: -Infinity,
        askingModels: false,
        askingGauges: false,
        probing: false,
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
      if (suspects.has(watched.slot)) watched.modelsAtMs = nowMs;
      this.#visit(watched, nowMs);
    }
    this.#timer = this.#clock.after(tickMs, () => this.#tick());
  }

  #visit(watched: Watched, nowMs: number): void {
    if (!watched.probing && this.#fleet.probeIsDue(watched.slot, nowMs)) void this.#probe(watched);
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
      refused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
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

  #readMetrics(watched: Watched, body: string): void {
    const gauges = readGauges(body);
    if (gauges !== null) this.#fleet.setGauges(watched.slot, gauges, this.#clock.nowMs());
    const startTime = samples(body, 'process_start_time_seconds')[0]?.value ?? null;
    if (watched.startTime !== null && startTime !== null && startTime !== watched.startTime) {
      this.#fleet.restarted(watched.slot);
    }
    watched.startTime = startTime;
  }

  async #probe(watched: Watched): Promise<void> {
    watched.probing = true;
    let answered = false;
    try {
      answered = (await this.#http.get(watched.address, '/health', probeTimeoutMs)).status < 500;
    } catch {
      // Still out.
    }
    watched.probing = false;
    if (!this.#isCurrent(watched)) return;
    this.#fleet.probed(watched.slot, answered, this.#clock.nowMs());
    if (answered) watched.modelsAtMs = this.#clock.nowMs();
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
