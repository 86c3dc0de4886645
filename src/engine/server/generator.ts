import type { Tokenizer } from '../../base/bpe.ts';
import type { Clock } from '../../base/clock.ts';
import { EngineModel, type EngineOptions, type Sequence, type StepResult } from '../model/engine-model.ts';
import { EngineRun } from '../model/engine-run.ts';
import type { HardwareProfile } from '../model/profiles.ts';
import { BlockHasher, type TextModel } from '../model/text.ts';
import { queueFull } from './errors.ts';
import type { EngineHistograms } from './metrics.ts';

/** What one answer is to be made of. */
export interface AnswerOrder {
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly ignoreEos: boolean;
  readonly stop: readonly string[];
  readonly cacheSalt: string | null;
}

export type FinishReason = 'stop' | 'length';

export interface AnswerSink {
  /** One token has been generated; its text may be empty while a character is incomplete. */
  token(text: string, id: number, finish: { reason: FinishReason; stopReason: string | null } | null): void;
}

/** One answer on its way. */
export interface Answer {
  /** Prompt tokens that were cached; null until the prompt has been read. */
  readonly cachedTokens: number | null;
  abort(): void;
}

interface Running {
  readonly order: AnswerOrder;
  readonly tokens: readonly number[];
  readonly texts: readonly string[];
  readonly finish: { reason: FinishReason; stopReason: string | null };
  readonly sink: AnswerSink;
  readonly arrivedMs: number;
  firstTokenMs: number;
  lastTokenMs: number;
  sequence: Sequence | null;
  ended: boolean;
}

/**
 * Joins the model of time (when each token comes) and the model of text (what it says): answers are composed when
 * they are ordered and handed out token by token as the engine's steps go by.
 */
export class Generator {
  readonly model: EngineModel;
  readonly run: EngineRun;
  readonly #clock: Clock;
  readonly #tokenizer: Tokenizer;
  readonly #text: TextModel;
  readonly #namespace: string;
  readonly #timeScale: number;
  readonly #histograms: EngineHistograms;
  readonly #running = new Map<string, Running>();
  #nextId = 0;
  #arriving = 0;

  constructor(options: {
    profile: HardwareProfile;
    engine: EngineOptions;
    clock: Clock;
    tokenizer: Tokenizer;
    text: TextModel;
    /** Prompts of other namespaces (models) share no cached block. */
    namespace: string;
    timeScale: number;
    histograms: EngineHistograms;
  }) {
    this.model = new EngineModel(options.profile, options.engine);
    this.#clock = options.clock;
    this.#tokenizer = options.tokenizer;
    this.#text = options.text;
    this.#namespace = options.namespace;
    this.#timeScale = options.timeScale;
    this.#histograms = options.histograms;
    this.run = new EngineRun(this.model, options.clock, (result) => this.#onStep(result), options.timeScale);
  }

  /** Requests in the engine or on their way into it. */
  get load(): number {
    return this.model.running + this.model.waiting + this.#arriving;
  }

  /** Throws `queueFull` when nothing more may wait. */
  start(order: AnswerOrder, sink: AnswerSink): Answer {
    const { options, profile } = this.model;
    if (this.model.waiting + this.#arriving >= options.maxWaiting && this.model.running >= profile.maxSequences) {
      throw queueFull();
    }
    const composed = this.#compose(order);
    const id = String(this.#nextId++);
    const running: Running = {
      ...composed,
      order,
      sink,
      arrivedMs: this.#clock.nowMs(),
      firstTokenMs: 0,
      lastTokenMs: 0,
      sequence: null,
      ended: false,
    };
    const hasher = new BlockHasher(`${this.#namespace}:${order.cacheSalt ?? ''}`, options.blockTokens);
    const blockHashes = hasher.pushAll(order.promptTokens);
    const generated: number[] = [];
    for (const token of composed.tokens) {
      const hash = hasher.push(token);
      if (hash !== null) generated.push(hash);
    }
    this.#arriving += 1;
    const timer = this.#clock.after(profile.requestMs / this.#timeScale, () => {
      this.#arriving -= 1;
      this.#running.set(id, running);
      running.sequence = this.model.submit({
        id,
        promptTokens: order.promptTokens.length,
        outputTokens: composed.tokens.length,
        blockHashes,
        generatedHash: (index) => generated[index - blockHashes.length] ?? -1 - index,
      });
      this.run.wake();
    });
    return {
      get cachedTokens() {
        const cached = running.sequence?.cachedTokens ?? -1;
        return cached < 0 ? null : cached;
      },
      abort: () => {
        if (running.ended) return;
        running.ended = true;
        if (running.sequence === null) {
          timer.cancel();
          this.#arriving -= 1;
        } else {
          this.model.abort(id);
          this.#running.delete(id);
        }
      },
    };
  }

  /** The whole answer, ahead of its time: tokens, their texts, and why it ends. */
  #compose(order: AnswerOrder): Pick<Running, 'tokens' | 'texts' | 'finish'> {
    const speaker = this.#text.after(order.promptTokens);
    const decoder = new TextDecoder();
    const tokens: number[] = [];
    const texts: string[] = [];
    let tail = '';
    const longestStop = Math.max(0, ...order.stop.map((stop) => stop.length));
    while (tokens.length < order.maxTokens) {
      let token = speaker.next();
      if (token === null) {
        if (!order.ignoreEos && tokens.length >= Math.max(1, order.minTokens)) {
          return { tokens, texts, finish: { reason: 'stop', stopReason: null } };
        }
        token = speaker.next(); // a text that may not end goes on
        if (token === null) break;
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

  #onStep({ sampled }: StepResult): void {
    const nowMs = this.#clock.nowMs();
    const { histograms } = { histograms: this.#histograms };
    for (const sequence of sampled) {
      const { id } = sequence.request;
      const running = this.#running.get(id);
      if (running === undefined) continue;
      const index = sequence.generatedTokens - 1;
      const isLast = sequence.generatedTokens >= running.tokens.length;
      if (index === 0) {
        running.firstTokenMs = nowMs;
        histograms.ttft.observe((nowMs - running.arrivedMs) / 1000);
      } else {
        histograms.interToken.observe((nowMs - running.lastTokenMs) / 1000);
      }
      running.lastTokenMs = nowMs;
      if (isLast) {
        running.ended = true;
        this.#running.delete(id);
        const e2eSeconds = (nowMs - running.arrivedMs) / 1000;
        histograms.e2e.observe(e2eSeconds);
        histograms.promptTokens.observe(running.order.promptTokens.length);
        histograms.generationTokens.observe(running.tokens.length);
        if (running.tokens.length > 1) {
          const decodeSeconds = (nowMs - running.firstTokenMs) / 1000;
          histograms.timePerOutputToken.observe(decodeSeconds / (running.tokens.length - 1));
        }
        histograms.succeeded[running.finish.reason] += 1;
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
