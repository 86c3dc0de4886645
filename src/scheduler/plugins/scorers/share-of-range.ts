/** Into `scores`: 1 for the least value, 0 for the greatest, straight between; 1 for all when they are equal. */
export function leastIsOne(values: Float64Array, scores: Float64Array): void {
  const least = Math.min(...values);
  const most = Math.max(...values);
  for (let i = 0; i < values.length; i++) scores[i] = most === least ? 1 : (most - values[i]!) / (most - least);
}
