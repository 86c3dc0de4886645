import type { ServerResponse } from 'node:http';

/** So long nothing must be under way: routers need a moment to hear that a pod is to end. */
const quietMs = 3000;
const lookMs = 100;

/** Counts requests under way, for whoever wants to wait until there are none. */
export class InFlight {
  #count = 0;
  #quietSinceMs = performance.now();

  /** Counts until the answer is out or its reader gone. */
  add(response: ServerResponse): void {
    this.#count++;
    response.once('close', () => {
      this.#count--;
      this.#quietSinceMs = performance.now();
    });
  }

  /** Answers 204 once nothing has been under way for a while from now on. */
  answerWhenQuiet(response: ServerResponse): void {
    const askedMs = performance.now();
    const timer = setInterval(() => {
      const quietSinceMs = Math.max(askedMs, this.#quietSinceMs);
      if (this.#count > 0 || performance.now() - quietSinceMs < quietMs) return;
      clearInterval(timer);
      response.writeHead(204).end();
    }, lookMs);
    response.once('close', () => clearInterval(timer));
  }
}
