import { Counter, Gauge, Histogram, type Buckets, type Count, type Family } from '../base/metrics.ts';
import type { Decision } from '../scheduler/decision.ts';
import { LabelRows } from './label-rows.ts';
import { epp } from './metric-names.ts';

export const secondsBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const tokenSecondsBounds = [0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1];
const tokensBounds = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];
const bytesBounds = [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];
/** Who asked for what: the second is the model that was served, the last two are of flow control. */
const requestLabels = ['model_name', 'target_model_name', 'fairness_id', 'priority'];

/** What is counted and measured of each request, under the field's names. */
export class RequestMetrics {
  readonly #requests = new Counter(epp('request_total', 'inference_model_request_total'), 'Requests.', requestLabels);
  readonly #errors = new Counter(
    epp('request_error_total', 'inference_model_request_error_total'),
    'Requests that ended in an error, by code.',
    [...requestLabels, 'error_code'],
  );
  readonly #running = new Gauge(epp('request_running'), 'Requests placed and not ended.', requestLabels);
  readonly #duration = histogram(
    epp('request_duration_seconds', 'inference_model_request_duration_seconds'),
    'Seconds from the decision to the end of the answer.',
    secondsBounds,
  );
  readonly #ttft = new Histogram(
    epp('request_ttft_seconds'),
    'Seconds from the decision to the first event of a streamed answer.',
    [...requestLabels, 'streaming'],
    secondsBounds,
  );
  readonly #predictedTtft = histogram(
    epp('request_predicted_ttft_seconds'),
    'The TTFT that was predicted at the decision.',
    secondsBounds,
  );
  readonly #inputTokens = histogram(
    epp('request_input_tokens', 'inference_model_input_tokens'),
    'Prompt tokens, as reported by the engine.',
    tokensBounds,
  );
  readonly #outputTokens = histogram(
    epp('request_output_tokens', 'inference_model_output_tokens'),
    'Completion tokens, as reported by the engine.',
    tokensBounds,
  );
  readonly #cachedTokens = histogram(
    epp('request_cached_tokens'),
    'Prompt tokens that the engine found in its cache.',
    tokensBounds,
  );
  readonly #perOutputToken = histogram(
    epp('request_ntpot_seconds', 'inference_model_ntpot_seconds'),
    'Seconds from the decision to the end of the answer, for each completion token.',
    tokenSecondsBounds,
  );
  readonly #tpot = histogram(
    epp('request_streaming_tpot_seconds'),
    'Mean seconds from one completion token of a streamed answer to the next.',
    tokenSecondsBounds,
  );
  readonly #itl = histogram(
    epp('request_streaming_itl_seconds'),
    'Seconds from one piece of a streamed answer to the next.',
    tokenSecondsBounds,
  );
  readonly #requestBytes = histogram(
    epp('request_size_bytes', 'inference_model_request_sizes'),
    'Bytes of the body that came.',
    bytesBounds,
  );
  readonly #answerBytes = histogram(
    epp('response_size_bytes', 'inference_model_response_sizes'),
    'Bytes of the body that the client was sent.',
    bytesBounds,
  );

  families(): Family[] {
    return [
      this.#requests,
      this.#errors,
      this.#running,
      this.#duration,
      this.#ttft,
      this.#predictedTtft,
      this.#inputTokens,
      this.#outputTokens,
      this.#cachedTokens,
      this.#perOutputToken,
      this.#tpot,
      this.#itl,
      this.#requestBytes,
      this.#answerBytes,
    ];
  }

  readonly #rows = new LabelRows<Row>((model, fairnessId, band) => ({ labels: [model, model, fairnessId, band] }));

  decided(decision: Decision): void {
    const row = this.#rows.of(decision);
    (row.requests ??= this.#requests.at(row.labels)).add();
    if (!isPlaced(decision)) return;
    (row.running ??= this.#running.at(row.labels)).add();
    const { ttftSeconds } = decision.predicted;
    if (!Number.isNaN(ttftSeconds)) (row.predictedTtft ??= this.#predictedTtft.at(row.labels)).observe(ttftSeconds);
  }

  /** How long the bodies were; a door that does not see an answer's says null. */
  sizes(decision: Decision, requestBytes: number, answerBytes: number | null): void {
    const row = this.#rows.of(decision);
    (row.requestBytes ??= this.#requestBytes.at(row.labels)).observe(requestBytes);
    if (answerBytes !== null) (row.answerBytes ??= this.#answerBytes.at(row.labels)).observe(answerBytes);
  }

  /** To be called at each piece of a streamed answer. */
  piecesOf(decision: Decision, nowMs: () => number): () => void {
    const row = this.#rows.of(decision);
    const itl = (row.itl ??= this.#itl.at(row.labels));
    let lastMs = NaN;
    return () => {
      const atMs = nowMs();
      if (!Number.isNaN(lastMs)) itl.observe((atMs - lastMs) / 1000);
      lastMs = atMs;
    };
  }

  ended(decision: Decision): void {
    const { streaming, outcome } = decision;
    if (outcome === null) return;
    const row = this.#rows.of(decision);
    const { labels } = row;
    const { promptTokens = null, completionTokens, cachedTokens, ttftSeconds, e2eSeconds } = outcome;
    if (isPlaced(decision)) (row.running ??= this.#running.at(labels)).add(-1);
    if (outcome.status >= 400) this.#errors.add([...labels, String(outcome.status)]);
    if (e2eSeconds !== null) (row.duration ??= this.#duration.at(labels)).observe(e2eSeconds);
    if (ttftSeconds !== null) {
      // Whether it streams is the same wherever there is a first token to be seen.
      (row.ttft ??= this.#ttft.at([...labels, String(streaming)])).observe(ttftSeconds);
    }
    if (promptTokens !== null) (row.inputTokens ??= this.#inputTokens.at(labels)).observe(promptTokens);
    if (cachedTokens !== null) (row.cachedTokens ??= this.#cachedTokens.at(labels)).observe(cachedTokens);
    if (completionTokens === null) return;
    (row.outputTokens ??= this.#outputTokens.at(labels)).observe(completionTokens);
    if (e2eSeconds === null || completionTokens === 0) return;
    (row.perOutputToken ??= this.#perOutputToken.at(labels)).observe(e2eSeconds / completionTokens);
    if (ttftSeconds === null || completionTokens < 2) return;
    (row.tpot ??= this.#tpot.at(labels)).observe((e2eSeconds - ttftSeconds) / (completionTokens - 1));
  }
}

/** What requests with the same labels count; each from its first use on, for what nothing was seen of is not shown. */
interface Row {
  readonly labels: readonly string[];
  requests?: Count;
  running?: Count;
  duration?: Buckets;
  ttft?: Buckets;
  predictedTtft?: Buckets;
  inputTokens?: Buckets;
  outputTokens?: Buckets;
  cachedTokens?: Buckets;
  perOutputToken?: Buckets;
  tpot?: Buckets;
  itl?: Buckets;
  requestBytes?: Buckets;
  answerBytes?: Buckets;
}

function histogram(names: readonly string[], help: string, bounds: readonly number[]): Histogram {
  return new Histogram(names, help, requestLabels, bounds);
}

function isPlaced({ picked, admission }: Decision): boolean {
  return picked >= 0 && admission.shed === null;
}
