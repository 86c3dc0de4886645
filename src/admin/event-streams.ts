import type { ServerResponse } from 'node:http';
import { decisionJson } from '../journal/decision-json.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';

const pingMs = 15_000;
/** A reader this far behind misses events rather than filling memory. */
const largestBacklogBytes = 1024 * 1024;

/** Sends every decision, and its outcome, to whoever listens to `/api/events`. */
export class EventStreams {
  readonly #open = new Set<ServerResponse>();
  readonly #journal: Journal;
  #stopWatching: (() => void) | null = null;
  #ping: NodeJS.Timeout | null = null;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  add(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': signalbox\n\n');
    this.#open.add(response);
    response.once('close', () => this.#remove(response));
    // Decisions are rendered only while somebody listens.
    this.#stopWatching ??= this.#journal.watch({
      decided: (decision) => this.#send('decision', decision),
      ended: (decision) => this.#send('outcome', decision),
    });
    this.#ping ??= setInterval(() => this.#write(': ping\n\n'), pingMs).unref();
  }

  close(): void {
    for (const response of this.#open) response.end();
  }

  #remove(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    this.#stopWatching?.();
    this.#stopWatching = null;
    if (this.#ping !== null) clearInterval(this.#ping);
    this.#ping = null;
  }

  #send(event: string, decision: Decision): void {
    this.#write(`event: ${event}\nid: ${decision.id}\ndata: ${JSON.stringify(decisionJson(decision))}\n\n`);
  }

  #write(text: string): void {
    for (const response of this.#open) {
      if (response.writableLength < largestBacklogBytes) response.write(text);
    }
  }
}
