import { Counter, Gauge, Histogram, readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';
import { endpointFamilies, poolFamilies } from './fleet-metrics.ts';
import { flowControlOutcome } from '../compat/llm-d-flow-control.ts';
import { epp } from './metric-names.ts';

const secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const schedulerBounds = [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1];
const tokenSecondsBounds = [0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1];
const tokensBounds = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];
const modelLabels = ['model_name', 'target_model_name'];

/** A door's metrics: the field's names where ours mean the same, `signalbox_` for the rest. */
export class DoorMetrics {
  readonly #requests = new Counter(epp('request_total', 'inference_model_request_total'), 'Requests.', modelLabels);
  readonly #errors = new Counter(
    epp('request_error_total', 'inference_model_request_error_total'),
    'Requests that ended in an error, by code.',
    [...modelLabels, 'error_code'],
  );
  readonly #duration = new Histogram(
    epp('request_duration_seconds', 'inference_model_request_duration_seconds'),
    'Seconds from the decision to the end of the answer.',
    modelLabels,
    secondsBounds,
  );
  readonly #ttft = new Histogram(
    epp('request_ttft_seconds'),
    'Seconds from the decision to the first event of a streamed answer.',
    [...modelLabels, 'streaming'],
    secondsBounds,
  );
  readonly #inputTokens = new Histogram(
    epp('request_input_tokens', 'inference_model_input_tokens'),
    'Prompt tokens, as reported by the engine.',
    modelLabels,
    tokensBounds,
  );
  readonly #outputTokens = new Histogram(
    epp('request_output_tokens', 'inference_model_output_tokens'),
    'Completion tokens, as reported by the engine.',
    modelLabels,
    tokensBounds,
  );
  readonly #cachedTokens = new Histogram(
    epp('request_cached_tokens'),
    'Prompt tokens that the engine found in its cache.',
    modelLabels,
    tokensBounds,
  );
  readonly #running = new Gauge(epp('request_running'), 'Requests placed and not ended.', modelLabels);
  readonly #perOutputToken = new Histogram(
    epp('request_ntpot_seconds', 'inference_model_ntpot_seconds'),
    'Seconds from the decision to the end of the answer, for each completion token.',
    modelLabels,
    tokenSecondsBounds,
  );
  readonly #tpot = new Histogram(
    epp('request_streaming_tpot_seconds'),
    'Mean seconds from one completion token of a streamed answer to the next.',
    modelLabels,
    tokenSecondsBounds,
  );
  readonly #predictedTtft = new Histogram(
    epp('request_predicted_ttft_seconds'),
    'The TTFT that was predicted at the decision.',
    modelLabels,
    secondsBounds,
  );
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
      this.#requests,
      this.#errors,
      this.#duration,
      this.#ttft,
      this.#inputTokens,
      this.#outputTokens,
      this.#cachedTokens,
      this.#running,
      this.#perOutputToken,
      this.#tpot,
      this.#predictedTtft,
      this.#hitRatio,
      this.#queued,
      this.#flow,
      this.#scheduler,
      this.#attempts,
      this.#refused,
      ...poolFamilies(this.#fleet, this.#poolName),
      ...endpointFamilies(this.#fleet),
      ...this.#ownFamilies(),
    ];
  }

  #decided({ model, picked, admission, predicted, promptTokens, schedulerSeconds }: Decision): void {
    const labels = [model, model];
    this.#requests.add(labels);
    this.#scheduler.observe([], schedulerSeconds);
    const outcome = flowControlOutcome(admission.shed, picked);
    const flow = [admission.fairnessId, admission.band, outcome, this.#poolName, ...labels];
    this.#queued.observe(flow, admission.queuedSeconds);
    this.#flow.add(flow);
    if (picked < 0 || admission.shed !== null) return;
    this.#running.add(labels, 1);
    if (!Number.isNaN(predicted.ttftSeconds)) this.#predictedTtft.observe(labels, predicted.ttftSeconds);
    if (promptTokens > 0) this.#hitRatio.observe([], predicted.cachedTokens / promptTokens);
  }

  #ended({ model, picked, admission, streaming, attempts, outcome }: Decision): void {
    if (outcome === null) return;
    const labels = [model, model];
    const { promptTokens = null, completionTokens, cachedTokens, ttftSeconds, e2eSeconds } = outcome;
    if (picked >= 0 && admission.shed === null) this.#running.add(labels, -1);
    for (const { endpoint, status } of attempts) {
      this.#attempts.add([status !== null && status < 400 ? 'success' : 'failure', model, endpoint]);
    }
    if (outcome.status >= 400) this.#errors.add([...labels, String(outcome.status)]);
    if (e2eSeconds !== null) this.#duration.observe(labels, e2eSeconds);
    if (ttftSeconds !== null) this.#ttft.observe([...labels, String(streaming)], ttftSeconds);
    if (promptTokens !== null) this.#inputTokens.observe(labels, promptTokens);
    if (cachedTokens !== null) this.#cachedTokens.observe(labels, cachedTokens);
    if (completionTokens === null) return;
    this.#outputTokens.observe(labels, completionTokens);
    if (e2eSeconds === null || completionTokens === 0) return;
    this.#perOutputToken.observe(labels, e2eSeconds / completionTokens);
    if (ttftSeconds === null || completionTokens < 2) return;
    this.#tpot.observe(labels, (e2eSeconds - ttftSeconds) / (completionTokens - 1));
  }

  #ownFamilies(): Family[] {
    const one = (value: number): Sample[] => [{ labels: {}, value }];
    const { prefixes } = this.#fleet;
    const journal = this.#journal;
    return [
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
