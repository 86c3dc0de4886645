import { Counter, Histogram, readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';

const secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const schedulerBounds = [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1];
const tokensBounds = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];
const modelLabels = ['model_name', 'target_model_name'];

/** `llm_d_epp_NAME`, and what it was called when the EPP was the extension's own. */
function epp(name: string, older?: string): readonly string[] {
  return [`llm_d_epp_${name}`, ...(older === undefined ? [] : [older])];
}

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
      this.#scheduler,
      this.#attempts,
      this.#refused,
      ...this.#poolFamilies(),
      ...this.#endpointFamilies(),
      ...this.#ownFamilies(),
    ];
  }

  #decided(decision: Decision): void {
    this.#requests.add([decision.model, decision.model]);
    this.#scheduler.observe([], decision.schedulerSeconds);
  }

  #ended({ model, streaming, attempts, outcome }: Decision): void {
    if (outcome === null) return;
    const labels = [model, model];
    for (const { endpoint, status } of attempts) {
      this.#attempts.add([status !== null && status < 400 ? 'success' : 'failure', model, endpoint]);
    }
    if (outcome.status >= 400) this.#errors.add([...labels, String(outcome.status)]);
    if (outcome.e2eSeconds !== null) this.#duration.observe(labels, outcome.e2eSeconds);
    if (outcome.ttftSeconds !== null) this.#ttft.observe([...labels, String(streaming)], outcome.ttftSeconds);
    if (outcome.completionTokens !== null) this.#outputTokens.observe(labels, outcome.completionTokens);
    if (outcome.cachedTokens !== null) this.#cachedTokens.observe(labels, outcome.cachedTokens);
    if (outcome.promptTokens !== null && outcome.promptTokens !== undefined)
      this.#inputTokens.observe(labels, outcome.promptTokens);
  }

  #poolFamilies(): Family[] {
    const name = { name: this.#poolName };
    const ready = (): number[] => this.#fleet.slots.filter((slot) => this.#fleet.isReady(slot));
    const average = (column: 'waiting' | 'running' | 'kvUsage') =>
      function* (this: void): Iterable<Sample> {
        const known = ready()
          .map((slot) => columns[column][slot]!)
          .filter((value) => !Number.isNaN(value));
        if (known.length > 0)
          yield { labels: name, value: known.reduce((sum, value) => sum + value, 0) / known.length };
      };
    const columns = this.#fleet.gauges;
    return [
      readAtScrape(epp('ready_endpoints', 'inference_pool_ready_pods'), 'Endpoints that may be given requests.', () => [
        { labels: name, value: ready().length },
      ]),
      readAtScrape(
        epp('average_kv_cache_utilization', 'inference_pool_average_kv_cache_utilization'),
        'Mean KV-cache use of the ready endpoints, 0..1.',
        average('kvUsage'),
      ),
      readAtScrape(
        epp('average_queue_size', 'inference_pool_average_queue_size'),
        'Mean number of requests waiting at the ready endpoints.',
        average('waiting'),
      ),
      readAtScrape(epp('average_running_requests'), 'Mean number of requests running.', average('running')),
    ];
  }

  #endpointFamilies(): Family[] {
    const fleet = this.#fleet;
    const each = (value: (slot: number) => number) => (): Sample[] =>
      fleet.slots.map((slot) => ({ labels: { endpoint: fleet.endpointAt(slot)!.name }, value: value(slot) }));
    const gauge = (name: string, help: string, value: (slot: number) => number): Family =>
      readAtScrape([`signalbox_endpoint_${name}`], help, each(value));
    const { ledger, gauges, speed, prediction } = fleet;
    return [
      gauge('ready', '1 when the endpoint may be given requests.', (slot) => (fleet.isReady(slot) ? 1 : 0)),
      gauge('inflight_requests', 'Requests sent to it and not ended.', (slot) => ledger.inFlight[slot]!),
      gauge('queued_prefill_tokens', 'Uncached prompt tokens sent to it and not yet computed.', (slot) =>
        Math.round(ledger.queuedPrefillTokens[slot]!),
      ),
      gauge('waiting_requests', 'Requests waiting there, as it says.', (slot) => gauges.waiting[slot]!),
      gauge('running_requests', 'Requests running there, as it says.', (slot) => gauges.running[slot]!),
      gauge('kv_cache_usage', 'KV-cache use there, 0..1, as it says.', (slot) => gauges.kvUsage[slot]!),
      gauge('cached_blocks', 'Blocks thought to be in its cache.', (slot) => fleet.prefixes.blocksAt(slot)),
      gauge('cache_known_by_events', '1 when its KV events tell all of its cache, 0.5 a part, 0 nothing.', (slot) =>
        fleet.eventKnowledge(slot) === 'complete' ? 1 : fleet.eventKnowledge(slot) === 'partial' ? 0.5 : 0,
      ),
      gauge(
        'prediction_error',
        'Predicted less reported cached tokens as a share of the prompt, without its sign: the mean of late.',
        (slot) => prediction.error[slot]!,
      ),
      gauge(
        'prediction_bias',
        'The same with its sign: above 0 too much was expected.',
        (slot) => prediction.bias[slot]!,
      ),
      readAtScrape(
        ['signalbox_endpoint_predicted_cached_tokens_total'],
        'Cached tokens that were predicted, of answers that reported theirs.',
        each((slot) => prediction.predictedTokens[slot]!),
        'counter',
      ),
      readAtScrape(
        ['signalbox_endpoint_reported_cached_tokens_total'],
        'Cached tokens that engines reported.',
        each((slot) => prediction.reportedTokens[slot]!),
        'counter',
      ),
      gauge('speed', 'Learned prefill speed relative to the reference.', (slot) => speed.relative[slot]!),
    ];
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
