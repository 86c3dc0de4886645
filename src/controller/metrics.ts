import { Counter, Histogram, readAtScrape, type Family } from '../base/metrics.ts';
import type { WorkQueue } from './queue.ts';

const secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the controller does, under the names that controllers have in the field. */
export class ControllerMetrics {
  leading = false;
  modelServices = 0;
  queue: Pick<WorkQueue, 'size'> = { size: 0 };
  readonly #total = new Counter(['controller_runtime_reconcile_total'], 'Reconciliations by result.', [
    'controller',
    'result',
  ]);
  readonly #seconds = new Histogram(
    ['controller_runtime_reconcile_time_seconds'],
    'Seconds a reconciliation took.',
    ['controller'],
    secondsBounds,
  );

  reconciled(result: 'success' | 'error', ms: number): void {
    this.#total.add(['modelservice', result]);
    this.#seconds.observe(['modelservice'], ms / 1000);
  }

  families(): Family[] {
    const one = (value: number): { labels: Record<string, string>; value: number }[] => [{ labels: {}, value }];
    return [
      this.#total,
      this.#seconds,
      readAtScrape(['workqueue_depth'], 'ModelServices to look at.', () => one(this.queue.size)),
      readAtScrape(['leader_election_master_status'], '1 while this one leads.', () => one(this.leading ? 1 : 0)),
      readAtScrape(['signalbox_modelservices'], 'ModelServices looked after.', () => one(this.modelServices)),
      readAtScrape(['process_resident_memory_bytes'], 'Resident memory.', () => one(process.memoryUsage.rss())),
    ];
  }
}
