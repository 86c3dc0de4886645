import type { DecisionRowJson } from '../../admin/json.ts';

/** A request as it is drawn on its endpoint's track. Times are milliseconds of the gateway's clock. */
export interface Train {
  readonly id: string;
  endpoint: string;
  readonly promptTokens: number;
  /** Of the prompt, what was thought to be cached, 0..1; null when not known. */
  readonly cachedShare: number | null;
  readonly streaming: boolean;
  readonly placedAtMs: number;
  readonly predictedTtftMs: number | null;
  answeringSinceMs: number | null;
  endedAtMs: number | null;
  failed: boolean;
  /** Where it is drawn now, from 0 to 1; moves towards where it should be. */
  at: number;
}

/** Where the first token is on the track. */
export const firstTokenAt = 0.42;
/** An end stays visible for so long. */
const leaveMs = 450;
const failedMs = 2500;
/** Assumed where nothing is known, only for how fast it is drawn. */
const someTtftMs = 800;
const someDecodeMs = 5000;
const mostTrains = 4000;

/** The requests on their way, from rows as they come. */
export class Trains {
  readonly #byId = new Map<string, Train>();
  /** When a route to an endpoint was last set. */
  readonly routeSetAtMs = new Map<string, number>();

  take(rows: readonly DecisionRowJson[], nowMs: number): void {
    for (const row of rows) {
      const train = this.#byId.get(row.id);
      if (row.picked !== null && nowMs - Date.parse(row.time) < 3000) {
        for (const endpoint of [row.prefill, row.picked]) this.#setRoute(endpoint, Date.parse(row.time));
      }
      if (train !== undefined) update(train, row, nowMs);
      else if (row.picked !== null && (row.status === null || nowMs - Date.parse(row.time) < 2000))
        this.#enter(row, nowMs);
    }
  }

  /** Those to be drawn, by endpoint; those whose end has been seen are gone. */
  byEndpoint(nowMs: number): Map<string, Train[]> {
    const all = new Map<string, Train[]>();
    for (const [id, train] of this.#byId) {
      const goneMs = train.endedAtMs === null ? null : train.endedAtMs + (train.failed ? failedMs : leaveMs);
      if (goneMs !== null && nowMs > goneMs) {
        this.#byId.delete(id);
        continue;
      }
      const here = all.get(train.endpoint);
      if (here === undefined) all.set(train.endpoint, [train]);
      else here.push(train);
    }
    return all;
  }

  /** Requests that are no longer open according to the gateway, whose end was not told. */
  keepOpen(isOpen: (id: string) => boolean): void {
    for (const [id, train] of this.#byId) if (train.endedAtMs === null && !isOpen(id)) this.#byId.delete(id);
  }

  #enter(row: DecisionRowJson, nowMs: number): void {
    if (this.#byId.size >= mostTrains) return;
    const { predictedCachedTokens: cached, predictedTtftSeconds: ttft, promptTokens } = row;
    const train: Train = {
      id: row.id,
      endpoint: placeNow(row) ?? row.picked!,
      promptTokens,
      cachedShare: cached === null || promptTokens === 0 ? null : Math.min(1, cached / promptTokens),
      streaming: row.streaming,
      placedAtMs: Date.parse(row.time),
      predictedTtftMs: ttft === null ? null : ttft * 1000,
      answeringSinceMs: null,
      endedAtMs: null,
      failed: false,
      at: 0,
    };
    this.#byId.set(row.id, train);
    update(train, row, nowMs);
  }

  #setRoute(endpoint: string | null, atMs: number): void {
    if (endpoint !== null && atMs > (this.routeSetAtMs.get(endpoint) ?? 0)) this.routeSetAtMs.set(endpoint, atMs);
  }
}

/** Until the first token it is where its prompt is computed, after it where it is answered. */
function placeNow({ answering, status, prefill, endpoint }: DecisionRowJson): string | null {
  return answering || status !== null ? endpoint : (prefill ?? endpoint);
}

function update(train: Train, row: DecisionRowJson, nowMs: number): void {
  train.endpoint = placeNow(row) ?? train.endpoint;
  if (row.answering) train.answeringSinceMs ??= nowMs;
  if (row.status === null || train.endedAtMs !== null) return;
  train.endedAtMs = nowMs;
  train.failed = row.status >= 400 && row.status !== 499;
}

/**
 * Where on the track a request belongs: before the first token as far as its predicted time has passed, after it as
 * time goes by; how far an answer still has to go is not known, so it never reaches the end by itself. Of an answer
 * that does not stream there is nothing to see until it has come.
 */
export function placeOf(train: Train, nowMs: number): number {
  if (train.endedAtMs !== null) return train.failed ? train.at : 1.04;
  if (train.answeringSinceMs !== null) {
    return firstTokenAt + (0.97 - firstTokenAt) * nearing((nowMs - train.answeringSinceMs) / someDecodeMs);
  }
  const passed = (nowMs - train.placedAtMs) / Math.max(50, train.predictedTtftMs ?? someTtftMs);
  return (train.streaming ? firstTokenAt - 0.03 : 0.9) * nearing(train.streaming ? passed : passed / 8);
}

/** From 0 towards 1, never there. */
function nearing(passed: number): number {
  return 1 - Math.exp(-1.5 * Math.max(0, passed));
}
