import type { Clock, Timer } from '../base/clock.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { EndpointColumn, EndpointTotalsJson, PoolColumn, SeriesJson } from './json.ts';
import { RingColumns } from './ring-columns.ts';
import { StepSamples } from './step-samples.ts';

export const seriesStepMs = 1000;
const poolSteps = 600;
const endpointSteps = 120;
/** Past these nothing is kept of an endpoint, and past those it is not written out: 4 MiB, and about 150 kB of JSON. */
const keptEndpoints = 1024;
const listedEndpoints = 64;

const poolColumns: readonly PoolColumn[] = [
  'requestsPerSecond',
  'failedPerSecond',
  'promptTokensPerSecond',
  'cachedTokensPerSecond',
  'completionTokensPerSecond',
  'inFlight',
  'held',
  'queuedPrefillTokens',
  'ttftP50Seconds',
  'ttftP90Seconds',
  'e2eP50Seconds',
  'e2eP90Seconds',
  'schedulerP50Seconds',
];
const endpointColumns: readonly EndpointColumn[] = [
  'requestsPerSecond',
  'inFlight',
  'queuedPrefillTokens',
  'waiting',
  'running',
  'kvUsage',
  'cachedShare',
];

/** What has ended, counted. */
type Totals = EndpointTotalsJson;
const noTotals: Totals = {
  requests: 0,
  failed: 0,
  promptTokens: 0,
  measuredTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
};

interface Tracked {
  readonly totals: Totals;
  /** As the totals stood at the last step. */
  before: Totals;
  readonly columns: RingColumns<EndpointColumn>;
}

/** The pool and each endpoint over time: counted as decisions are made and end, and written down once a second. */
export class Series {
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #stopWatching: () => void;
  readonly #pool: Totals = { ...noTotals };
  #poolBefore: Totals = { ...noTotals };
  readonly #poolColumns = new RingColumns(poolColumns, poolSteps);
  readonly #ttft = new StepSamples();
  readonly #e2e = new StepSamples();
  readonly #scheduler = new StepSamples();
  readonly #endpoints = new Map<string, Tracked>();
  /** When the steps ended, oldest first. */
  readonly #endedAtMs: number[] = [];
  #lastMs: number;
  #timer: Timer;

  constructor(dispatch: Dispatch) {
    this.#dispatch = dispatch;
    this.#clock = dispatch.clock;
    this.#lastMs = this.#clock.nowMs();
    this.#stopWatching = dispatch.journal.watch({
      decided: ({ schedulerSeconds }) => this.#scheduler.add(schedulerSeconds),
      ended: (decision) => this.#ended(decision),
    });
    this.#timer = this.#clock.after(seriesStepMs, () => this.#step());
  }

  close(): void {
    this.#timer.cancel();
    this.#stopWatching();
  }

  totalsOf(endpoint: string): EndpointTotalsJson {
    return { ...(this.#endpoints.get(endpoint)?.totals ?? noTotals) };
  }

  /** Steps that ended after `afterMs` on the clock people read. */
  json(afterMs = -Infinity): SeriesJson {
    const all = [...this.#endpoints];
    const last = (steps: number): number[] => this.#endedAtMs.slice(-steps).filter((endedAtMs) => endedAtMs > afterMs);
    const poolTimes = last(poolSteps);
    const endpointTimes = last(endpointSteps);
    return {
      stepMs: seriesStepMs,
      pool: { endedAtMs: poolTimes, columns: this.#poolColumns.last(poolTimes.length) },
      endpoints: {
        endedAtMs: endpointTimes,
        columns: Object.fromEntries(
          all.slice(0, listedEndpoints).map(([name, { columns }]) => [name, columns.last(endpointTimes.length)]),
        ),
      },
      endpointsLeftOut: Math.max(0, this.#dispatch.fleet.slots.length - listedEndpoints),
    };
  }

  #ended({ attempts, outcome, promptTokens }: Decision): void {
    if (outcome === null) return;
    const endpoint = attempts.at(-1)?.endpoint;
    const totals = [this.#pool];
    if (endpoint !== undefined) {
      const tracked = this.#tracked(endpoint);
      if (tracked !== null) totals.push(tracked.totals);
    }
    for (const sum of totals) {
      sum.requests += 1;
      if (outcome.status >= 400 && outcome.status !== 499) sum.failed += 1;
      sum.completionTokens += outcome.completionTokens ?? 0;
      sum.promptTokens += outcome.promptTokens ?? promptTokens;
      if (outcome.cachedTokens === null) continue;
      sum.measuredTokens += outcome.promptTokens ?? promptTokens;
      sum.cachedTokens += outcome.cachedTokens;
    }
    if (outcome.ttftSeconds !== null) this.#ttft.add(outcome.ttftSeconds);
    if (outcome.e2eSeconds !== null) this.#e2e.add(outcome.e2eSeconds);
  }

  #tracked(endpoint: string): Tracked | null {
    const known = this.#endpoints.get(endpoint);
    if (known !== undefined) return known;
    if (this.#endpoints.size >= keptEndpoints || this.#dispatch.fleet.slotOf(endpoint) === null) return null;
    const columns = new RingColumns(endpointColumns, endpointSteps);
    const tracked = { totals: { ...noTotals }, before: { ...noTotals }, columns };
    this.#endpoints.set(endpoint, tracked);
    return tracked;
  }

  #step(): void {
    const { fleet, held } = this.#dispatch;
    const nowMs = this.#clock.nowMs();
    const seconds = (nowMs - this.#lastMs) / 1000;
    this.#lastMs = nowMs;
    this.#timer = this.#clock.after(seriesStepMs, () => this.#step());

    for (const name of this.#endpoints.keys()) if (fleet.slotOf(name) === null) this.#endpoints.delete(name);
    let inFlight = 0;
    let queuedPrefillTokens = 0;
    for (const slot of fleet.slots) {
      inFlight += fleet.ledger.inFlight[slot]!;
      queuedPrefillTokens += fleet.ledger.queuedPrefillTokens[slot]!;
      const tracked = this.#tracked(fleet.endpointAt(slot)!.name);
      if (tracked === null) continue;
      const rate = ratesOf(tracked.totals, tracked.before, seconds);
      tracked.before = { ...tracked.totals };
      tracked.columns.push({
        requestsPerSecond: rate.requests,
        inFlight: fleet.ledger.inFlight[slot]!,
        queuedPrefillTokens: fleet.ledger.queuedPrefillTokens[slot]!,
        waiting: fleet.gauges.waiting[slot]!,
        running: fleet.gauges.running[slot]!,
        kvUsage: fleet.gauges.kvUsage[slot]!,
        cachedShare: rate.cachedTokens / rate.measuredTokens,
      });
    }
    const rate = ratesOf(this.#pool, this.#poolBefore, seconds);
    this.#poolBefore = { ...this.#pool };
    const [ttftP50Seconds, ttftP90Seconds] = this.#ttft.take(0.5, 0.9);
    const [e2eP50Seconds, e2eP90Seconds] = this.#e2e.take(0.5, 0.9);
    const [schedulerP50Seconds] = this.#scheduler.take(0.5, 0.9);
    this.#poolColumns.push({
      requestsPerSecond: rate.requests,
      failedPerSecond: rate.failed,
      promptTokensPerSecond: rate.promptTokens,
      cachedTokensPerSecond: rate.measuredTokens === 0 && rate.requests > 0 ? NaN : rate.cachedTokens,
      completionTokensPerSecond: rate.completionTokens,
      inFlight,
      held,
      queuedPrefillTokens,
      ttftP50Seconds,
      ttftP90Seconds,
      e2eP50Seconds,
      e2eP90Seconds,
      schedulerP50Seconds,
    });
    this.#endedAtMs.push(this.#clock.epochMs());
    if (this.#endedAtMs.length > poolSteps) this.#endedAtMs.shift();
  }
}

function ratesOf(now: Totals, before: Totals, seconds: number): Totals {
  return {
    requests: (now.requests - before.requests) / seconds,
    failed: (now.failed - before.failed) / seconds,
    promptTokens: (now.promptTokens - before.promptTokens) / seconds,
    measuredTokens: (now.measuredTokens - before.measuredTokens) / seconds,
    cachedTokens: (now.cachedTokens - before.cachedTokens) / seconds,
    completionTokens: (now.completionTokens - before.completionTokens) / seconds,
  };
}
