import type { LoadResult } from './load.ts';
import type { Scraping } from './scraping.ts';

/** One way measured once. */
export interface Round extends LoadResult {
  readonly requestsPerSecond: number;
  /** CPU per request; null where the process is not on the way. */
  readonly envoyMicros: number | null;
  readonly eppMicros: number | null;
}

export interface Cell {
  readonly measurement: string;
  readonly way: string;
  readonly rounds: readonly Round[];
}

export interface Figures {
  readonly cells: readonly Cell[];
  readonly scraping: Scraping;
  readonly connections: number;
}

export function page(figures: Figures): string {
  return JSON.stringify(figures);
}
