import type { FamilySnapshot } from '../base/metrics.ts';
import type { DecisionsEventJson } from './json.ts';

/** The other threads that serve with this one, for which it answers as well. */
export interface OtherWorkers {
  /** What each of them answers; those that do not answer in time, or with an error, are left out. */
  get(path: string): Promise<unknown[]>;
  families(): Promise<FamilySnapshot[][]>;
  /** Hears of their decisions, until the function that it gives is called. */
  listen(heard: (event: DecisionsEventJson) => void): () => void;
  /** Has them read their configuration again. */
  reload(): void;
}
