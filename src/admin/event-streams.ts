import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Family } from '../base/metrics.ts';
import { readAtScrape } from '../base/metrics.ts';
import { decisionRow } from '../journal/decision-row.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { DecisionRowJson, DecisionsEventJson } from './json.ts';
import type { OtherWorkers } from './other-workers.ts';

const batchMs = 250;
const pingMs = 15_000;
/** Decisions told of at once; more are counted. A page has no use for more, and rendering them must cost little. */
const largestBatch = 100;
/** A reader this far behind misses events rather than filling memory. */
const largestBacklogBytes = 256 * 1024;
/** And is let go when it has not caught up for so long: a page that lives connects again. */
const patienceMs = 10_000;
const mostListeners = 64;

interface Listener {
  /** Decisions that it was not told of. */
  missed: number;
  /** Since when it has been too far behind; null when it is not. */
  behindSinceMs: number | null;
}

/** Tells whoever listens to `/api/events` of decisions made and ended, a few times a second. */
export class EventStreams {
  readonly #open = new Map<ServerResponse, Listener>();
  readonly #journal: Journal;
  readonly #clock: Clock;
  /** Threads whose decisions are told of as well. */
  readonly #others: OtherWorkers | null;
  /** What they told since the last batch, by the decision's id. */
  readonly #changedElsewhere = new Map<string, DecisionRowJson>();
  /** Made or ended since the last batch, in that order. */
  readonly #changed = new Set<Decision>();
  #leftOut = 0;
  #stopWatching: (() => void) | null = null;
  #batch: NodeJS.Timeout | null = null;
  #ping: NodeJS.Timeout | null = null;
  #missed = 0;
  #letGo = 0;

  constructor(journal: Journal, clock: Clock, others: OtherWorkers | null = null) {
    this.#others = others;
    this.#journal = journal;
    this.#clock = clock;
  }

  /** False when there are too many listeners already. */
  add(response: ServerResponse): boolean {
    if (this.#open.size >= mostListeners) return false;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': signalbox\n\n');
    this.#open.set(response, { missed: 0, behindSinceMs: null });
    response.once('close', () => this.#remove(response));
    // Nothing is gathered while nobody listens.
    this.#stopWatching ??= this.#watch();
    this.#batch ??= setInterval(() => this.#tell(), batchMs).unref();
    this.#ping ??= setInterval(() => this.#send(() => ': ping\n\n', 0), pingMs).unref();
    return true;
  }

  /** Who listens, and how far they are behind. */
  families(): Family[] {
    const one = (value: number) => [{ labels: {}, value }];
    const backlog = (): number => [...this.#open.keys()].reduce((sum, { writableLength }) => sum + writableLength, 0);
    return [
      readAtScrape(['signalbox_event_listeners'], 'Pages and others that listen to /api/events.', () =>
        one(this.#open.size),
      ),
      readAtScrape(['signalbox_event_backlog_bytes'], 'Told them and not yet read.', () => one(backlog())),
      readAtScrape(
        ['signalbox_event_missed_total'],
        'Decisions that listeners were not told of, for they were behind.',
        () => one(this.#missed),
        'counter',
      ),
      readAtScrape(
        ['signalbox_event_listeners_let_go_total'],
        'Listeners that did not read, and were disconnected.',
        () => one(this.#letGo),
        'counter',
      ),
    ];
  }

  close(): void {
    for (const response of this.#open.keys()) response.end();
  }

  #watch(): () => void {
    const stopHere = this.#journal.watch({
      decided: (decision) => this.#note(decision),
      answering: (decision) => this.#note(decision),
      ended: (decision) => this.#note(decision),
    });
    const stopElsewhere = this.#others?.listen(({ decisions, leftOut }) => {
      for (const row of decisions) this.#changedElsewhere.set(row.id, row);
      this.#leftOut += leftOut;
    });
    return () => {
      stopHere();
      stopElsewhere?.();
      this.#changedElsewhere.clear();
    };
  }

  #note(decision: Decision): void {
    if (this.#changed.size < largestBatch || this.#changed.has(decision)) this.#changed.add(decision);
    else this.#leftOut += 1;
  }

  #tell(): void {
    if (this.#changed.size + this.#changedElsewhere.size === 0) return;
    const all = [...this.#changedElsewhere.values(), ...Array.from(this.#changed, decisionRow)];
    this.#changedElsewhere.clear();
    const decisions = all.slice(0, largestBatch);
    this.#leftOut += all.length - decisions.length;
    const rows = JSON.stringify(decisions);
    const leftOut = this.#leftOut;
    this.#changed.clear();
    this.#leftOut = 0;
    const event = (missed: number): string => {
      const rest: Omit<DecisionsEventJson, 'decisions'> = { leftOut: leftOut + missed };
      return `event: decisions\ndata: {"decisions":${rows},${JSON.stringify(rest).slice(1)}\n\n`;
    };
    this.#send(event, decisions.length + leftOut);
  }

  /** `text` is told how many decisions a listener has missed; `decisions` is how many it misses now if it is behind. */
  #send(text: (missed: number) => string, decisions: number): void {
    for (const [response, listener] of this.#open) {
      if (response.writableLength >= largestBacklogBytes) {
        listener.missed += decisions;
        this.#missed += decisions;
        listener.behindSinceMs ??= this.#clock.nowMs();
        if (this.#clock.nowMs() - listener.behindSinceMs < patienceMs) continue;
        this.#letGo += 1;
        response.destroy();
        continue;
      }
      listener.behindSinceMs = null;
      response.write(text(listener.missed));
      if (decisions > 0) listener.missed = 0;
    }
  }

  #remove(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    this.#stopWatching?.();
    this.#stopWatching = null;
    for (const timer of [this.#batch, this.#ping]) if (timer !== null) clearInterval(timer);
    this.#batch = null;
    this.#ping = null;
    this.#changed.clear();
    this.#leftOut = 0;
  }
}
