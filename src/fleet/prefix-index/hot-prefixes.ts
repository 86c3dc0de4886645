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

/** So many are kept for certain; up to twice as many until the colder half is forgotten, all at once. */
const remembered = 256;
const halfLifeMs = 300_000;

/** The prefixes that are asked for most. */
export class HotPrefixes {
  /** By as much of the hash as a number has room for. */
  readonly #byHash = new Map<number, HotPrefix>();

  hit(low: number, high: number, model: string, tokens: number, nowMs: number): void {
    const key = (high & 0x1fffff) * 2 ** 32 + low;
    const known = this.#byHash.get(key);
    if (known !== undefined) {
      known.heat = heatNow(known, nowMs) + 1;
      known.hits += 1;
      known.usedAtMs = nowMs;
      return;
    }
    if (this.#byHash.size >= 2 * remembered) this.#forgetColder(nowMs);
    this.#byHash.set(key, { low, high, model, tokens, hits: 1, heat: 1, usedAtMs: nowMs });
  }

  /** The hottest first. */
  hottest(count: number, nowMs: number): HotPrefix[] {
    return [...this.#byHash.values()]
      .map((prefix) => ({ ...prefix, heat: heatNow(prefix, nowMs) }))
      .sort((a, b) => b.heat - a.heat)
      .slice(0, count);
  }

  #forgetColder(nowMs: number): void {
    const heats = Array.from(this.#byHash, ([key, prefix]) => ({ key, heat: heatNow(prefix, nowMs) }));
    heats.sort((a, b) => a.heat - b.heat);
    for (const { key } of heats.slice(0, remembered)) this.#byHash.delete(key);
  }
}

function heatNow({ heat, usedAtMs }: HotPrefix, nowMs: number): number {
  return heat * 2 ** ((usedAtMs - nowMs) / halfLifeMs);
}
