import { request } from 'undici';
import type { Agent } from 'undici';
import { z } from 'zod';
import type { Clock, Timer } from '../../base/clock.ts';
import { TimeSeries } from '../time-series.ts';

const maxSeries = 256;
const pageSize = 500;
const pollMs = 1000;

const scores = z.record(z.string(), z.number().nullable());
const decision = z.object({
  id: z.string(),
  time: z.iso.datetime(),
  profiles: z.array(
    z.object({
      name: z.string(),
      scorers: z.array(z.object({ type: z.string(), unit: z.string(), weight: z.number(), scores })),
      totals: scores,
    }),
  ),
});
const decisions = z.array(decision);
type DecisionJson = z.infer<typeof decision>;

/** The mean of a score over time is `sum` by `count`. */
interface ScoreSeries {
  readonly sum: TimeSeries;
  readonly count: TimeSeries;
}

/** Scores of a run's decisions, from the gateway's admin API: by profile and scorer, then by endpoint. */
export class Scores {
  /** Key: `profile · scorer`, `total` for the weighted sum. */
  readonly charts = new Map<string, { unit: string; weight: number | null; endpoints: Map<string, ScoreSeries> }>();
  decisions = 0;
  /** Why there are no scores; null as long as the admin API answers. */
  trouble: string | null = null;
  readonly #startEpochMs: number;
  #series = 0;

  constructor(startEpochMs: number) {
    this.#startEpochMs = startEpochMs;
  }

  add(one: DecisionJson): void {
    const atMs = Date.parse(one.time) - this.#startEpochMs;
    if (!(atMs >= 0)) return;
    this.decisions += 1;
    for (const profile of one.profiles) {
      const unit = profile.scorers[0]?.unit ?? 'share';
      this.#addAll(`${profile.name} · total`, unit, null, profile.totals, atMs);
      for (const scorer of profile.scorers) {
        this.#addAll(`${profile.name} · ${scorer.type}`, scorer.unit, scorer.weight, scorer.scores, atMs);
      }
    }
  }

  #addAll(key: string, unit: string, weight: number | null, values: z.infer<typeof scores>, atMs: number): void {
    let chart = this.charts.get(key);
    if (chart === undefined) {
      chart = { unit, weight, endpoints: new Map() };
      this.charts.set(key, chart);
    }
    for (const [endpoint, value] of Object.entries(values)) {
      if (value === null) continue;
      let series = chart.endpoints.get(endpoint);
      if (series === undefined) {
        if (this.#series >= maxSeries) continue;
        this.#series += 1;
        series = { sum: new TimeSeries(), count: new TimeSeries() };
        chart.endpoints.set(endpoint, series);
      }
      series.sum.add(atMs, value);
      series.count.add(atMs, 1);
    }
  }
}

/** Reads decisions once a second for as long as the run goes on. `stop` reads what is left. */
export function collectScores(
  adminUrl: string,
  dispatcher: Agent,
  clock: Clock,
): { scores: Scores; stop: () => Promise<void> } {
  const collected = new Scores(clock.epochMs());
  let after: string | null = null;
  let timer: Timer | null = null;
  let reading: Promise<void> = Promise.resolve();

  async function readPage(): Promise<number> {
    const query = `limit=${pageSize}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`;
    const answer = await request(`${adminUrl}/api/decisions?${query}`, {
      dispatcher,
      signal: AbortSignal.timeout(5000),
    });
    const body: unknown = await answer.body.json();
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    const page = decisions.parse(body).sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
    for (const one of page) collected.add(one);
    after = page.at(-1)?.id ?? after;
    return page.length;
  }

  async function read(): Promise<void> {
    try {
      while ((await readPage()) === pageSize);
      collected.trouble = null;
    } catch {
      collected.trouble = `${adminUrl}/api/decisions did not answer as expected`;
    }
  }

  function schedule(): void {
    timer = clock.after(pollMs, () => {
      reading = read().then(schedule);
    });
  }
  schedule();

  return {
    scores: collected,
    async stop() {
      timer?.cancel();
      await reading;
      timer?.cancel();
      await read();
    },
  };
}
