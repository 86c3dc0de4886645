/** What was seen of a priority fades by half in this time. */
const halfLifeSeconds = 300;

interface Seen {
  readonly priority: number;
  inFlightTokens: number;
  /** The largest prompt of late, and the most tokens in flight at once; fading. */
  largestTokens: number;
  peakTokens: number;
  atMs: number;
}

/**
 * Room that lower priorities leave free in each endpoint's KV cache, by what higher ones asked for of late: the largest
 * prompt, or the most that they had in flight at once, spread over the endpoints. Nothing where nobody is above.
 */
export class Headroom {
  /** Highest priority first. Priorities come from configuration: there are few. */
  #seen: Seen[] = [];

  placed(priority: number, promptTokens: number, nowMs: number): void {
    const seen = this.#of(priority, nowMs);
    seen.inFlightTokens += promptTokens;
    seen.largestTokens = Math.max(seen.largestTokens, promptTokens);
    seen.peakTokens = Math.max(seen.peakTokens, seen.inFlightTokens);
  }

  ended(priority: number, promptTokens: number): void {
    const seen = this.#seen.find((each) => each.priority === priority);
    if (seen !== undefined) seen.inFlightTokens -= promptTokens;
  }

  /** Whether requests of several priorities came of late. */
  isShared(nowMs: number): boolean {
    let live = 0;
    for (const seen of this.#seen) {
      fade(seen, nowMs);
      if (seen.largestTokens >= 1) live += 1;
    }
    return live > 1;
  }

  /** Tokens to be left free on each of so many endpoints by a request of this priority. */
  tokensFor(priority: number, endpoints: number, nowMs: number): number {
    let largest = 0;
    let peak = 0;
    for (const seen of this.#seen) {
      if (seen.priority <= priority) break;
      fade(seen, nowMs);
      largest = Math.max(largest, seen.largestTokens);
      peak += seen.peakTokens;
    }
    return Math.max(largest, endpoints === 0 ? 0 : peak / endpoints);
  }

  #of(priority: number, nowMs: number): Seen {
    let seen = this.#seen.find((each) => each.priority === priority);
    if (seen === undefined) {
      seen = { priority, inFlightTokens: 0, largestTokens: 0, peakTokens: 0, atMs: nowMs };
      this.#seen = [...this.#seen, seen].sort((a, b) => b.priority - a.priority);
    }
    fade(seen, nowMs);
    return seen;
  }
}

function fade(seen: Seen, nowMs: number): void {
  if (nowMs === seen.atMs) return;
  const kept = 0.5 ** ((nowMs - seen.atMs) / 1000 / halfLifeSeconds);
  seen.largestTokens *= kept;
  seen.peakTokens = Math.max(seen.inFlightTokens, seen.peakTokens * kept);
  seen.atMs = nowMs;
}
