/** What a load generator says when it is done. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers other than 200, cut short, or to a body that did not arrive as it should; connections that broke. */
  readonly faults: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** `micros`: how long each request took. */
export function loadResult(micros: number[], faults: number, seconds: number): LoadResult {
  micros.sort((a, b) => a - b);
  const at = (share: number): number => micros[Math.floor(share * (micros.length - 1))] ?? NaN;
  return { requests: micros.length, seconds, faults, p50Micros: at(0.5), p99Micros: at(0.99) };
}

/** Makes this process a generator: it drives what it is ordered to, and ends with the one that started it. */
export function takeOrders<Order>(drive: (order: Order) => Promise<LoadResult>): void {
  process.on('message', (order: Order) => {
    void drive(order).then((result) => process.send!(result));
  });
  process.on('disconnect', () => process.exit());
}
