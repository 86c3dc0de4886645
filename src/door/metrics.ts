import { Counter, Histogram, readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import { productVersion } from '../base/version.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { Probe } from '../scheduler/schedule.ts';
import { endpointFamilies, poolFamilies } from './fleet-metrics.ts';
import { flowControlOutcome } from '../compat/llm-d-flow-control.ts';
import { epp } from './metric-names.ts';
import { RequestMetrics, secondsBounds } from './request-metrics.ts';

const schedulerBounds = [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1];
const modelLabels = ['model_name', 'target_model_name'];
const pluginBounds = [0.000001, 0.000002, 0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.0005, 0.001, 0.01];

/** A door's metrics: the field's names where ours mean the same, `signalbox_` for the rest. */
export class DoorMetrics {
  readonly requests = new RequestMetrics();
  readonly #hitRatio = new Histogram(
    epp('prefix_indexer_hit_ratio', 'inference_extension_prefix_indexer_hit_ratio'),
    'Share of the prompt thought to be cached at the endpoint picked.',
    [],
    [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
  );
  readonly #queued = new Histogram(
    epp('flow_control_request_queue_duration_seconds'),
    'Seconds that requests were held before they were placed or turned away.',
    ['fairness_id', 'priority', 'outcome', 'inference_pool', ...modelLabels],
    secondsBounds,
  );
  readonly #flow = new Counter(
    epp('flow_control_requests_total'),
    'Requests that came to flow control, by what became of them.',
    ['fairness_id', 'priority', 'outcome', 'inference_pool', ...modelLabels],
  );
  readonly #scheduler = new Histogram(
    epp('scheduler_e2e_duration_seconds', 'inference_extension_scheduler_e2e_duration_seconds'),
    'Seconds that deciding took.',
    [],
    schedulerBounds,
  );
  readonly #plugins = new Histogram(
    epp('plugin_duration_seconds'),
    'Seconds that a plugin took, of one decision in sixteen.',
    ['extension_point', 'plugin_type', 'plugin_name'],
    pluginBounds,
  );
  readonly #attempts = new Counter(
    epp('scheduler_attempts_total'),
    'Requests sent to an endpoint, first tries and others.',
    ['status', 'target_model_name', 'endpoint_name'],
  );
  readonly #refused = new Counter(['signalbox_refused_total'], 'Requests answered with our own error, by code.', [
    'code',
  ]);
  readonly #fleet: Fleet;
  readonly #journal: Journal;
  readonly #poolName: string;
  /** Where the journal is appended to files. */
  journalFiles: { readonly written: number; readonly dropped: number } | null = null;

  constructor(fleet: Fleet, journal: Journal, poolName: string) {
    this.#fleet = fleet;
    this.#journal = journal;
    this.#poolName = poolName;
    journal.watch({
      decided: (decision) => this.#decided(decision),
      ended: (decision) => this.#ended(decision),
    });
  }

  /** An error of ours went to a client. */
  refused(code: string): void {
    this.#refused.add([code]);
  }

  families(): Family[] {
    return [
      ...this.requests.families(),
      this.#hitRatio,
      this.#queued,
      this.#flow,
      this.#scheduler,
      this.#plugins,
      this.#attempts,
      this.#refused,
      ...poolFamilies(this.#fleet, this.#poolName),
      ...endpointFamilies(this.#fleet),
      ...this.#ownFamilies(),
    ];
  }

  /** Told how long plugins took. */
  get probe(): Probe {
    return {
      nowMs: () => performance.now(),
      took: (point, { type, plugin }, ms) => this.#plugins.observe([point, type, plugin], ms / 1000),
    };
  }

  #decided(decision: Decision): void {
    const { picked, admission, predicted, promptTokens, schedulerSeconds } = decision;
    this.requests.decided(decision);
    this.#scheduler.observe([], schedulerSeconds);
    const labels = [decision.model, decision.model];
    const outcome = flowControlOutcome(admission.shed, picked);
    const flow = [admission.fairnessId, admission.band, outcome, this.#poolName, ...labels];
    this.#queued.observe(flow, admission.queuedSeconds);
    this.#flow.add(flow);
    if (picked < 0 || admission.shed !== null) return;
    if (promptTokens > 0) this.#hitRatio.observe([], predicted.cachedTokens / promptTokens);
  }

  #ended(decision: Decision): void {
    this.requests.ended(decision);
    for (const { endpoint, status } of decision.attempts) {
      const outcome = status !== null && status < 400 ? 'success' : 'failure';
      this.#attempts.add([outcome, decision.model, endpoint]);
    }
  }

  #ownFamilies(): Family[] {
    const one = (value: number): Sample[] => [{ labels: {}, value }];
    const { prefixes } = this.#fleet;
    const journal = this.#journal;
    return [
      readAtScrape(epp('info', 'inference_extension_info'), 'What runs here.', () => [
        { labels: { commit: 'unknown', build_ref: productVersion() }, value: 1 },
      ]),
      readAtScrape(['signalbox_prefix_index_bytes'], 'Memory of the prefix index.', () => one(prefixes.bytes)),
      readAtScrape(
        epp('prefix_indexer_size', 'inference_extension_prefix_indexer_size'),
        'Prompt blocks indexed.',
        () => one(prefixes.blocks),
      ),
      readAtScrape(['signalbox_journal_bytes'], 'Memory of the kept decisions.', () => one(journal.sizes.bytes)),
      readAtScrape(
        ['signalbox_journal_dropped_total'],
        'Decisions dropped to stay within bounds.',
        () => one(journal.sizes.dropped),
        'counter',
      ),
      readAtScrape(
        ['signalbox_journal_file_lines_total'],
        'Decisions written to files.',
        () => (this.journalFiles === null ? [] : one(this.journalFiles.written)),
        'counter',
      ),
      readAtScrape(
        ['signalbox_journal_file_dropped_total'],
        'Decisions that the disk could not keep up with.',
        () => (this.journalFiles === null ? [] : one(this.journalFiles.dropped)),
        'counter',
      ),
      readAtScrape(['process_resident_memory_bytes'], 'Resident memory.', () => one(process.memoryUsage.rss())),
      readAtScrape(
        ['process_cpu_seconds_total'],
        'User and system CPU time.',
        () => {
          const { user, system } = process.cpuUsage();
          return one((user + system) / 1e6);
        },
        'counter',
      ),
    ];
  }
}
