import type {
  AdmissionJson,
  DecisionRowJson,
  DecisionsEventJson,
  EndpointJson,
  PoliciesJson,
} from '../../admin/json.ts';
import { ask, messageOf } from '../ask.ts';
import { DecisionList } from './decision-list.ts';

const pollMs = 1000;
const slowestPollMs = 5000;
const pageSize = 1000;
/** Decisions fetched from before the page was opened. */
const pagesBack = 10;
/** Without an answer for so long, what is shown is not fresh. */
const staleMs = 3500;

/**
 * What the page knows of the gateway, kept fresh: decisions as the gateway tells of them, everything else asked for once
 * a second. A hidden page asks for nothing and hangs up.
 */
class Feed {
  readonly decisions = new DecisionList();
  endpoints: readonly EndpointJson[] | null = null;
  admission: AdmissionJson | null = null;
  policy: PoliciesJson | null = null;
  /** When the last answer came, by this browser's clock; null before the first. */
  answeredAtMs: number | null = null;
  /** Why there is none since; null when all is well. */
  trouble: string | null = null;
  /** What the gateway's clock is ahead of this browser's. */
  clockAheadMs = 0;
  /** Since it was started, decisions that came too fast to be told of one by one. */
  readonly #listeners = new Set<() => void>();
  readonly #rowListeners = new Set<(rows: readonly DecisionRowJson[]) => void>();
  #events: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hasGap = true;
  #failures = 0;

  start(): void {
    const follow = (): void => (document.hidden ? this.#pause() : this.#resume());
    document.addEventListener('visibilitychange', follow);
    follow();
  }

  /** Calls back after every change; gives the function that ends it. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Told of rows as they come, each once for its beginning and once for its end. */
  watchRows(listener: (rows: readonly DecisionRowJson[]) => void): () => void {
    this.#rowListeners.add(listener);
    return () => this.#rowListeners.delete(listener);
  }

  get isStale(): boolean {
    return this.answeredAtMs !== null && Date.now() - this.answeredAtMs > staleMs;
  }

  /** Now, by the gateway's clock. */
  nowMs(): number {
    return Date.now() + this.clockAheadMs;
  }

  #pause(): void {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
    this.#hasGap = true;
  }

  #resume(): void {
    clearTimeout(this.#timer);
    this.#listen();
    void this.#poll();
  }

  #listen(): void {
    if (this.#events !== null) return;
    const events = new EventSource('/api/events');
    events.addEventListener('decisions', ({ data }: MessageEvent<string>) => {
      const { decisions, leftOut } = JSON.parse(data) as DecisionsEventJson;
      if (leftOut > 0) this.#hasGap = true;
      this.#take(decisions);
    });
    // The browser connects again by itself; what happened in between is fetched.
    events.addEventListener('error', () => (this.#hasGap = true));
    this.#events = events;
  }

  async #poll(): Promise<void> {
    try {
      const [endpoints, admission, policy] = await Promise.all([
        ask<EndpointJson[]>('/api/endpoints'),
        ask<AdmissionJson>('/api/admission'),
        ask<PoliciesJson>('/api/policies'),
      ]);
      Object.assign(this, { endpoints, admission, policy });
      this.answeredAtMs = Date.now();
      // What is at hand is shown before what takes longer.
      this.#changed();
      if (this.#hasGap) await this.#catchUp();
      this.trouble = null;
      this.#failures = 0;
    } catch (error) {
      this.trouble = messageOf(error);
      this.#failures += 1;
      if (this.#events?.readyState === EventSource.CLOSED) {
        this.#events = null;
        this.#listen();
      }
    }
    this.#changed();
    if (document.hidden) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), Math.min(slowestPollMs, pollMs * (1 + this.#failures)));
  }

  /** The latest decisions, and further back until every open one is known again. */
  async #catchUp(): Promise<void> {
    this.#hasGap = false;
    const isFirst = this.decisions.rows.length === 0;
    const latest = await ask<DecisionRowJson[]>(`/api/decisions?brief=1&limit=${pageSize}`);
    // A gateway that was started again knows nothing of the decisions before.
    if (!isFirst && latest.length < pageSize && !latest.some(({ id }) => this.decisions.find(id) !== undefined)) {
      if (latest.length > 0) this.decisions.clear();
    }
    this.#take(latest);
    const oldestOpen = isFirst ? null : this.decisions.open[0];
    if (latest.length < pageSize || oldestOpen === undefined) return;
    void this.#goBack(latest.at(-1)!, oldestOpen?.time ?? null).catch(() => (this.#hasGap = true));
  }

  async #goBack(from: DecisionRowJson, until: string | null): Promise<void> {
    let oldest = from;
    for (let page = 1; page < pagesBack && (until === null || oldest.time > until); page++) {
      const rows = await ask<DecisionRowJson[]>(
        `/api/decisions?brief=1&limit=${pageSize}&before=${encodeURIComponent(oldest.id)}`,
      );
      this.decisions.add(rows);
      this.#changed();
      if (rows.length < pageSize) return;
      oldest = rows.at(-1)!;
    }
  }

  #take(rows: readonly DecisionRowJson[]): void {
    this.decisions.add(rows);
    for (const listener of this.#rowListeners) listener(rows);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

export const feed = new Feed();
