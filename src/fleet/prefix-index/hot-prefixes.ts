/** A prefix that requests were placed for because it was cached there. No text: a hash tells it from others. */
interface HotPrefix {
  readonly low: number;
  readonly high: number;
  readonly model: string;
  readonly tokens: number;
  /** Requests since it was first seen. */
  hits: number;
  /** The same, halved for every half-life that has gone by. */
  heat: number;
  usedAtMs: number;
}

const remembered = 256;
const halfLifeMs = 300_000;

/** The prefixes that are asked for most; when a new one comes, the coldest is forgotten. */
export class HotPrefixes {
  readonly #byHash = new Map<string, HotPrefix>();

  hit(low: number, high: number, model: string, tokens: number, nowMs: number): void {
    const key = `${high}:${low}`;
    const known = this.#byHash.get(key);
    if (known !== undefined) {
      known.heat = heatNow(known, nowMs) + 1;
      known.hits += 1;
      known.usedAtMs = nowMs;
      return;
    }
    if (this.#byHash.size >= remembered) this.#forgetColdest(nowMs);
    this.#byHash.set(key, { low, high, model, tokens, hits: 1, heat: 1, usedAtMs: nowMs });
  }

  /** The hottest first. */
  hottest(count: number, nowMs: number): HotPrefix[] {
    return [...this.#byHash.values()]
      .map((prefix) => ({ ...prefix, heat: heatNow(prefix, nowMs) }))
      .sort((a, b) => b.heat - a.heat)
      .slice(0, count);
  }

  #forgetColdest(nowMs: number): void {
    let coldest = '';
    let least = Infinity;
    for (const [key, prefix] of this.#byHash) {
      const heat = heatNow(prefix, nowMs);
      if (heat < least) [coldest, least] = [key, heat];
    }
    this.#byHash.delete(coldest);
  }
}

function heatNow({ heat, usedAtMs }: HotPrefix, nowMs: number): number {
  return heat * 2 ** ((usedAtMs - nowMs) / halfLifeMs);
}
