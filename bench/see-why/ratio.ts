/** What two things cost in the same rounds, side by side. */
export interface Pair {
  readonly off: number;
  readonly on: number;
}

const resamples = 2000;

/** How much more `on` costs, as a share. */
export function costOf(pairs: readonly Pair[]): number {
  const sum = (value: (pair: Pair) => number): number => pairs.reduce((total, pair) => total + value(pair), 0);
  return sum(({ on }) => on) / sum(({ off }) => off) - 1;
}

/**
 * Where it lies with 95 % certainty, by the bootstrap: processes are drawn anew, and in each its rounds, since two of the
 * same program differ as much as rounds of one do.
 */
export function intervalOf(processes: readonly (readonly Pair[])[]): [low: number, high: number] {
  const drawn = <Item>(from: readonly Item[]): Item[] => from.map(() => from[Math.floor(Math.random() * from.length)]!);
  const costs = Array.from({ length: resamples }, () => costOf(drawn(processes).flatMap((rounds) => drawn(rounds))));
  costs.sort((a, b) => a - b);
  return [costs[Math.floor(0.025 * resamples)]!, costs[Math.floor(0.975 * resamples)]!];
}
