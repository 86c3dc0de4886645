import {
  Counter,
  Histogram,
  readAtScrape,
  type Buckets,
  type Count,
  type Family,
  type Sample,
} from '../base/metrics.ts';
import { productVersion } from '../base/version.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { Probe } from '../scheduler/schedule.ts';
import { endpointFamilies, poolFamilies } from './fleet-metrics.ts';
import { flowControlOutcome } from '../compat/llm-d-flow-control.ts';
import { LabelRows } from './label-rows.ts';
import { epp } from './metric-names.ts';
import { RequestMetrics, secondsBounds } from './request-metrics.ts';

const schedulerBounds = [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1];
const modelLabels = ['model_name', 'target_model_name'];
const pluginBounds = [0.000001, 0.000002, 0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.0005, 0.001, 0.01];

/** Endpoints come and go. */
const mostSuccesses = 1000;

interface Flow {
  readonly queued: Buckets;
  readonly flow: Count;
}

/** What is kept at hand for requests alike. */
interface Row {
  /** By what became of them. */
  readonly flows: Map<string, Flow>;
  /** Attempts that were answered, by endpoint. */
  readonly successes: Map<string, Count>;
}

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
  readonly #schedulerSeconds = this.#scheduler.at([]);
  readonly #hitRatios = this.#hitRatio.at([]);
  readonly #rows = new LabelRows<Row>(() => ({ flows: new Map(), successes: new Map() }));
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
    this.#schedulerSeconds.observe(schedulerSeconds);
    const { queued, flow } = this.#flowOf(decision);
    queued.observe(admission.queuedSeconds);
    flow.add();
    if (picked < 0 || admission.shed !== null) return;
    if (promptTokens > 0) this.#hitRatios.observe(predicted.cachedTokens / promptTokens);
  }

  #flowOf(decision: Decision): Flow {
    const { picked, model, admission } = decision;
    const outcome = flowControlOutcome(admission.shed, picked);
    const { flows } = this.#rows.of(decision);
    let flow = flows.get(outcome);
    if (flow === undefined) {
      const labels = [admission.fairnessId, admission.band, outcome, this.#poolName, model, model];
      flow = { queued: this.#queued.at(labels), flow: this.#flow.at(labels) };
      flows.set(outcome, flow);
    }
    return flow;
  }

  #ended(decision: Decision): void {
    this.requests.ended(decision);
    const { successes } = this.#rows.of(decision);
    for (const { endpoint, status } of decision.attempts) {
      if (status === null || status >= 400) {
        this.#attempts.add(['failure', decision.model, endpoint]);
        continue;
      }
      let success = successes.get(endpoint);
      if (success === undefined) {
        success = this.#attempts.at(['success', decision.model, endpoint]);
        if (successes.size < mostSuccesses) successes.set(endpoint, success);
      }
      success.add();
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
      readAtScrape(
        ['signalbox_prefix_index_bytes'],
        'Memory of the prefix index.',
        () => one(prefixes.bytes),
        'gauge',
        'sum',
      ),
      readAtScrape(
        epp('prefix_indexer_size', 'inference_extension_prefix_indexer_size'),
        'Prompt blocks indexed.',
        () => one(prefixes.blocks),
      ),
      readAtScrape(
        ['signalbox_journal_bytes'],
        'Memory of the kept decisions.',
        () => one(journal.sizes.bytes),
        'gauge',
        'sum',
      ),
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
        'first',
      ),
    ];
  }
}
