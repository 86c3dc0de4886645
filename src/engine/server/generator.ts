import type { Tokenizer } from '../../base/bpe.ts';
import type { Clock } from '../../base/clock.ts';
import { chainBlock, chainBlocks } from '../model/block-chain.ts';
import type { EngineModel, StepResult } from '../model/engine-model.ts';
import { EngineRun } from '../model/engine-run.ts';
import { transferMs } from '../model/profiles.ts';
import type { Sequence } from '../model/sequence.ts';
import type { TextModel } from '../model/text.ts';
import { queueFull } from './errors.ts';
import type { CachedTokens } from './kv-events.ts';
import type { LoraAdapter } from './lora.ts';
import type { EngineHistograms } from './metrics.ts';

/** What one answer is to be made of. */
interface AnswerOrder {
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly ignoreEos: boolean;
  readonly stop: readonly string[];
  readonly cacheSalt: string | null;
  readonly lora: LoraAdapter | null;
  /** Where its prompt's cache comes from, when from another engine. */
  readonly incoming?: IncomingCache | null;
  /** Whether its cache is kept for another engine; `keptAs` is then told under which id. */
  readonly keptAs?: ((id: string, reason: FinishReason) => void) | null;
}

/** A prompt's cache on its way from another engine. */
interface IncomingCache {
  /** It is not this prompt's: what is said follows from something else. */
  readonly isAnothers: boolean;
  /** The time it takes has passed; false when it did not come after all. */
  fetched(): Promise<boolean>;
}

export type FinishReason = 'stop' | 'length';

interface AnswerSink {
  /** One token has been generated; its text may be empty while a character is incomplete. */
  token(text: string, id: number, finish: { reason: FinishReason; stopReason: string | null } | null): void;
  /** The prompt's cache did not come from the other engine. */
  failed(): void;
}

/** One answer on its way. */
export interface Answer {
  /** Prompt tokens that were cached; null until the prompt has been read. */
  readonly cachedTokens: number | null;
  abort(): void;
}

interface Composed {
  readonly tokens: readonly number[];
  readonly texts: readonly string[];
  readonly finish: { reason: FinishReason; stopReason: string | null };
}

interface Running extends Composed {
  readonly order: AnswerOrder;
  readonly sink: AnswerSink;
  readonly arrivedMs: number;
  lastTokenMs: number;
  readonly sequence: Sequence;
  readonly allTokens: readonly number[];
}

/** An answer may be as long as the context: it is composed in slices of so many tokens. */
const composeSliceTokens = 4096;

/**
 * Joins the model of time (when each token comes) and the model of text (what it says): answers are composed when
 * they are ordered and handed out token by token as the engine's steps go by.
 */
export class AnswerGenerator {
  readonly model: EngineModel;
  readonly run: EngineRun;
  readonly #clock: Clock;
  readonly #tokenizer: Tokenizer;
  readonly #text: TextModel;
  readonly #namespace: string;
  readonly #timeScale: number;
  readonly #maxWaiting: number;
  readonly #histograms: EngineHistograms;
  readonly #running = new Map<string, Running>();
  #nextId = 0;
  #arriving = 0;
  /** Caches come in one after another. */
  #linkFreeAtMs = 0;

  constructor(options: {
    model: EngineModel;
    clock: Clock;
    /** Requests that may wait when no more can run; more are refused. */
    maxWaiting: number;
    tokenizer: Tokenizer;
    text: TextModel;
    /** Prompts of other namespaces (models) share no cached block. */
    namespace: string;
    timeScale: number;
    histograms: EngineHistograms;
    /** Called at the end of every step, before its tokens go out. */
    stepped?: () => void;
  }) {
    this.model = options.model;
    this.#maxWaiting = options.maxWaiting;
    this.#clock = options.clock;
    this.#tokenizer = options.tokenizer;
    this.#text = options.text;
    this.#namespace = options.namespace;
    this.#timeScale = options.timeScale;
    this.#histograms = options.histograms;
    this.model.onReceiving = (sequence) => this.#receive(sequence);
    this.run = new EngineRun(
      this.model,
      options.clock,
      (result) => {
        options.stepped?.();
        this.#onStep(result);
      },
      options.timeScale,
    );
  }

  /** Requests in the engine or on their way into it. */
  get load(): number {
    return this.model.running + this.model.waiting + this.#arriving;
  }

  /** Throws `queueFull` when nothing more may wait. */
  start(order: AnswerOrder, sink: AnswerSink): Answer {
    const { model } = this;
    if (model.waiting + this.#arriving >= this.#maxWaiting && model.running >= model.maxNumSeqs) throw queueFull();
    const composing = this.#compose(order);
    let composed = composing.next();
    const arrivedMs = this.#clock.nowMs();
    const id = String(this.#nextId++);
    let running: Running | null = null;
    let ended = false;
    const arrive = (): void => {
      if (!composed.done) {
        composed = composing.next();
        timer = this.#clock.after(0, arrive);
        return;
      }
      this.#arriving -= 1;
      const allTokens = [...order.promptTokens, ...composed.value.tokens];
      const sequence = this.#submit(id, order, allTokens, composed.value.tokens.length);
      running = { ...composed.value, order, sink, arrivedMs, lastTokenMs: 0, sequence, allTokens };
      this.#running.set(id, running);
      this.run.wake();
    };
    this.#arriving += 1;
    let timer = this.#clock.after(model.profile.apiOverheadMs / this.#timeScale, arrive);
    return {
      get cachedTokens() {
        return running === null || Number.isNaN(running.sequence.scheduledMs) ? null : running.sequence.cachedTokens;
      },
      abort: () => {
        if (ended || running?.sequence.state === 'ended') return;
        ended = true;
        this.#histograms.succeeded.abort += 1;
        if (running === null) {
          timer.cancel();
          this.#arriving -= 1;
        } else {
          this.model.abort(id);
          this.#running.delete(id);
        }
      },
    };
  }

  /** What a request in the engine has in the cache, for those who tell of it. */
  cachedTokensOf(id: string): CachedTokens | undefined {
    const running = this.#running.get(id);
    if (running === undefined) return undefined;
    const { lora, cacheSalt } = running.order;
    return { tokens: running.allTokens, lora, cacheSalt };
  }

  #submit(id: string, order: AnswerOrder, allTokens: readonly number[], answerTokens: number): Sequence {
    const { promptTokens, cacheSalt, lora, incoming = null, keptAs = null } = order;
    const { blockSize } = this.model;
    const namespace = Buffer.from(JSON.stringify([this.#namespace, lora?.name ?? null, cacheSalt]));
    const start = chainBlock(0, namespace, 0, namespace.length);
    const hashes = chainBlocks(allTokens, blockSize, start);
    const request = {
      id,
      promptTokens: promptTokens.length,
      maxOutputTokens: answerTokens,
      lora: lora?.name ?? null,
      blockHashes: hashes.subarray(0, Math.floor(promptTokens.length / blockSize)),
      isReceived: incoming !== null,
      isKept: keptAs !== null,
      generatedBlockHash: (index: number) => hashes[index] ?? 0,
    };
    return this.model.submit(request, this.#clock.nowMs());
  }

  #receive({ id, receivedTokens }: Sequence): void {
    const { model } = this;
    const nowMs = this.#clock.nowMs();
    this.#linkFreeAtMs =
      Math.max(this.#linkFreeAtMs, nowMs) + transferMs(model.profile, receivedTokens) / this.#timeScale;
    const fetched = async (): Promise<void> => {
      const running = this.#running.get(id);
      if (running === undefined) return; // its client left
      if ((await running.order.incoming?.fetched()) === true) model.received(id);
      else if (this.#running.delete(id)) {
        model.abort(id);
        this.#histograms.succeeded.error += 1;
        running.sink.failed();
      }
      this.run.wake();
    };
    this.#clock.after(this.#linkFreeAtMs - nowMs, () => void fetched());
  }

  /** The whole answer, ahead of its time: tokens, their texts, and why it ends. */
  *#compose(order: AnswerOrder): Generator<void, Composed, void> {
    const { promptTokens } = order;
    const speaker = this.#text.after(order.incoming?.isAnothers === true ? [...promptTokens].reverse() : promptTokens);
    const decoder = new TextDecoder();
    const tokens: number[] = [];
    const texts: string[] = [];
    let tail = '';
    const longestStop = Math.max(0, ...order.stop.map((stop) => stop.length));
    while (tokens.length < order.maxTokens) {
      if (tokens.length % composeSliceTokens === composeSliceTokens - 1) yield;
      const token = speaker.next(!order.ignoreEos && tokens.length >= Math.max(1, order.minTokens));
      if (token === null) {
        // Even an answer without a word takes a token: the one that ends it.
        if (tokens.length === 0) return { tokens: [0], texts: [''], finish: { reason: 'stop', stopReason: null } };
        return { tokens, texts, finish: { reason: 'stop', stopReason: null } };
      }
      const text = decoder.decode(this.#tokenizer.bytesOf(token), { stream: true });
      tokens.push(token);
      texts.push(text);
      if (longestStop === 0 || tokens.length < order.minTokens) continue;
      tail += text;
      const found = order.stop
        .map((stop) => ({ stop, at: tail.indexOf(stop) }))
        .filter(({ at }) => at >= 0)
        .sort((a, b) => a.at - b.at)[0];
      if (found !== undefined) {
        cutTexts(texts, tail.length - found.at);
        return { tokens, texts, finish: { reason: 'stop', stopReason: found.stop } };
      }
      tail = tail.slice(-longestStop - text.length);
    }
    return { tokens, texts, finish: { reason: 'length', stopReason: null } };
  }

  #onStep({ produced }: StepResult): void {
    const nowMs = this.#clock.nowMs();
    const histograms = this.#histograms;
    for (const sequence of produced) {
      const { id } = sequence;
      const running = this.#running.get(id);
      if (running === undefined) continue;
      const index = sequence.generated - 1;
      const isLast = sequence.generated >= running.tokens.length;
      if (index === 0) {
        histograms.ttft.observe((nowMs - running.arrivedMs) / 1000);
      } else {
        histograms.interToken.observe((nowMs - running.lastTokenMs) / 1000);
      }
      running.lastTokenMs = nowMs;
      if (isLast) {
        this.#running.delete(id);
        const e2eSeconds = (nowMs - running.arrivedMs) / 1000;
        histograms.e2e.observe(e2eSeconds);
        histograms.promptTokens.observe(running.order.promptTokens.length);
        histograms.generationTokens.observe(running.tokens.length);
        histograms.completed.prompt += running.order.promptTokens.length;
        histograms.completed.generation += running.tokens.length;
        if (running.tokens.length > 1) {
          const decodeSeconds = (nowMs - sequence.firstTokenMs) / 1000;
          histograms.timePerOutputToken.observe(decodeSeconds / (running.tokens.length - 1));
        }
        histograms.succeeded[running.finish.reason] += 1;
        running.order.keptAs?.(id, running.finish.reason);
      }
      running.sink.token(running.texts[index]!, running.tokens[index]!, isLast ? running.finish : null);
    }
  }
}

/** Removes the last `length` characters, which may reach over several texts. */
function cutTexts(texts: string[], length: number): void {
  for (let at = texts.length - 1; at >= 0 && length > 0; at--) {
    const cut = Math.min(length, texts[at]!.length);
    texts[at] = texts[at]!.slice(0, texts[at]!.length - cut);
    length -= cut;
  }
}
