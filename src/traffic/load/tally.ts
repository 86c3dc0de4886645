import type { Usage } from '../../api/usage.ts';
import { Histogram } from '../histogram.ts';
import { TimeSeries } from '../time-series.ts';
import { Reasons } from './reasons.ts';
import { aborted } from './send.ts';
import type { RequestResult } from './send.ts';

/** Beyond these many, names are counted together. */
const maxEndpoints = 64;
const maxErrors = 24;
const others = 'others';

/** What one endpoint got. */
export class EndpointTally {
  requests = 0;
  failed = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly cached = new CachedShare();
  readonly reasons = new Reasons();
  readonly ttft = new Histogram();
  /** Requests sent, by time of sending. */
  readonly sent = new TimeSeries();
  /** Milliseconds that requests spent before and after their first token, by time. */
  readonly queued = new TimeSeries();
  readonly running = new TimeSeries();
}

/** Tokens of prompts, and those of them found in a cache, over answers that say. */
class CachedShare {
  promptTokens = 0;
  cachedTokens = 0;
  answers = 0;

  add(usage: Usage | null): void {
    if (usage === null || usage.promptTokens === null || usage.cachedTokens === null) return;
    this.promptTokens += usage.promptTokens;
    this.cachedTokens += usage.cachedTokens;
    this.answers += 1;
  }

  /** Null when no answer said. */
  get share(): number | null {
    return this.answers === 0 || this.promptTokens === 0 ? null : this.cachedTokens / this.promptTokens;
  }
}

/** All that is kept of a run, in bounded memory. Times are milliseconds after its start, durations are seconds. */
export class Tally {
  completed = 0;
  failed = 0;
  aborted = 0;
  /** Sent more than 100 ms after their time, because all places were taken. */
  late = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly cached = new CachedShare();
  readonly ttft = new Histogram();
  readonly tpot = new Histogram();
  readonly e2e = new Histogram();
  readonly errors = new Map<string, number>();
  readonly endpoints = new Map<string, EndpointTally>();
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  add(result: RequestResult, lateMs: number): void {
    if (lateMs > 100) this.late += 1;
    if (result.error === aborted) this.aborted += 1;
    else if (result.error !== null) {
      this.failed += 1;
      count(this.errors, result.error, maxErrors);
    } else this.#addCompleted(result);
    if (result.endpoint !== null) this.#addToEndpoint(this.#endpoint(result.endpoint), result);
  }

  #addCompleted(result: RequestResult): void {
    this.completed += 1;
    const { startMs, firstTokenMs, endMs, usage } = result;
    this.e2e.add((endMs - startMs) / 1000);
    const completionTokens = usage?.completionTokens ?? result.contentEvents;
    if (firstTokenMs !== null) {
      this.ttft.add((firstTokenMs - startMs) / 1000);
      if (completionTokens > 1) this.tpot.add((endMs - firstTokenMs) / 1000 / (completionTokens - 1));
    }
    this.promptTokens += usage?.promptTokens ?? 0;
    this.completionTokens += completionTokens;
    this.cached.add(usage);
  }

  #addToEndpoint(endpoint: EndpointTally, result: RequestResult): void {
    const { usage } = result;
    const startMs = result.startMs - this.#startMs;
    const endMs = result.endMs - this.#startMs;
    endpoint.requests += 1;
    if (result.error !== null && result.error !== aborted) endpoint.failed += 1;
    if (result.reason !== null) endpoint.reasons.add(result.reason);
    endpoint.promptTokens += usage?.promptTokens ?? 0;
    endpoint.completionTokens += usage?.completionTokens ?? result.contentEvents;
    endpoint.cached.add(usage);
    endpoint.sent.add(startMs, 1);
    if (result.firstTokenMs === null) {
      endpoint.running.addInterval(startMs, endMs);
    } else {
      const firstMs = result.firstTokenMs - this.#startMs;
      if (result.error === null) endpoint.ttft.add((firstMs - startMs) / 1000);
      endpoint.queued.addInterval(startMs, firstMs);
      endpoint.running.addInterval(firstMs, endMs);
    }
  }

  #endpoint(name: string): EndpointTally {
    const key = this.endpoints.has(name) || this.endpoints.size < maxEndpoints ? name : others;
    let endpoint = this.endpoints.get(key);
    if (endpoint === undefined) {
      endpoint = new EndpointTally();
      this.endpoints.set(key, endpoint);
    }
    return endpoint;
  }
}

function count(counts: Map<string, number>, name: string, limit: number): void {
  const key = counts.has(name) || counts.size < limit ? name : others;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
