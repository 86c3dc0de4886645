/**
 * Turns costs in any unit into shares: 1 for the least, half for twice as much. One unit of cost is taken as nothing,
 * so that a cost of 0 compares as well. It keeps the order, for rules whose result is a cost that adds to no other.
 */
export function shareOfLeast(costs: Float64Array, scores: Float64Array): void {
  let least = Infinity;
  for (const cost of costs) least = Math.min(least, cost);
  for (let i = 0; i < costs.length; i++) scores[i] = (1 + least) / (1 + costs[i]!);
}
