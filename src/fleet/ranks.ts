import type { Endpoint } from '../scheduler/endpoint.ts';
import type { PrometheusText } from './gauges/prometheus-text.ts';

/** Series that a data-parallel engine has once per rank. */
const rankLabel = /[{,]engine="(\d+)"/;

/** The data-parallel ranks that an engine's `/metrics` has series of, in order; vLLM labels every series with its rank. */
export function ranksIn(page: PrometheusText): number[] {
  const ranks = new Set<number>();
  for (const { labels } of page.samples('vllm:num_requests_running')) {
    const rank = rankLabel.exec(labels)?.[1];
    if (rank !== undefined) ranks.add(Number(rank));
  }
  return [...ranks].sort((a, b) => a - b);
}

/** What a `/metrics` says of one rank, and of none in particular. */
export function metricsOfRank(metrics: string, rank: number): string {
  const isOthers = (line: string): boolean => {
    const found = rankLabel.exec(line)?.[1];
    return found !== undefined && Number(found) !== rank;
  };
  return metrics
    .split('\n')
    .filter((line) => !isOthers(line))
    .join('\n');
}

/**
 * Which addresses have several data-parallel ranks behind them. Each rank has a KV cache and a queue of its own, so each is
 * an endpoint: requests say by a header which one is meant.
 */
export class Ranks {
  readonly #byAddress = new Map<string, readonly number[]>();

  /** What an engine said of its ranks; whether that is news. */
  learn(address: string, ranks: readonly number[]): boolean {
    const before = this.#byAddress.get(address) ?? [];
    const now = ranks.length > 1 ? ranks : [];
    if (before.join() === now.join()) return false;
    if (now.length === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, now);
    return true;
  }

  /** The endpoint itself, or one for each of its ranks. */
  endpointsOf<Found extends Endpoint>(endpoint: Found): Found[] {
    const ranks = this.#byAddress.get(endpoint.address);
    if (ranks === undefined) return [endpoint];
    return ranks.map((rank) => ({ ...endpoint, name: `${endpoint.name}-rank-${rank}`, rank }));
  }

  /** Addresses that are no more are forgotten. */
  keepOnly(addresses: ReadonlySet<string>): void {
    for (const address of this.#byAddress.keys()) if (!addresses.has(address)) this.#byAddress.delete(address);
  }
}
