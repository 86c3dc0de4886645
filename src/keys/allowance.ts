/** The gateways that serve the same keys: how many they are, and this one's number among them. */
export interface Replicas {
  readonly count: number;
  readonly rank: number;
}

export const alone: Replicas = { count: 1, rank: 0 };

/** What is known of the use of one limit. */
interface Use {
  /** Here, and how much of that the others had been told. */
  readonly own: number;
  readonly told: number;
  /** What the others last told. */
  readonly others: number;
}

/**
 * How much more of a limit this replica may take. What all of them know to be free is divided: each takes its part
 * without asking, and what is left is divided anew with every exchange, so that together they never take more than the
 * limit, as far as they know the same. What cannot be divided goes to them in turn.
 */
export function allowance(limit: number, { own, told, others }: Use, { count, rank }: Replicas, nowMs: number): number {
  const free = Math.max(0, limit - told - others);
  const turn = (rank + Math.floor(nowMs / 1000)) % count;
  const part = Math.floor(free / count) + (turn < Math.floor(free % count) ? 1 : 0);
  return part - (own - told);
}
