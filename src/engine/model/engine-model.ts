import { SignalboxError } from '../../base/errors.ts';
import { KvCache, type BlockListener } from './kv-cache.ts';
import { stepMs, type HardwareProfile, type StepWork } from './profiles.ts';
import { Sequence, type EngineRequest } from './sequence.ts';

interface EngineModelOptions {
  /** Tokens a KV block holds. */
  readonly blockSize: number;
  readonly prefixCaching?: boolean;
  readonly kvCacheTokens?: number;
  readonly maxNumSeqs?: number;
  readonly maxNumBatchedTokens?: number;
  /** Adapters that run at once; requests for more wait. */
  readonly maxLoras?: number;
  readonly listener?: BlockListener;
}

/** What came out of a step. The array is reused by the next one. */
export interface StepResult {
  /** Sequences that produced a token; `generated === 1` marks a first one, `finished` a last one. */
  readonly produced: readonly Sequence[];
  /** Tokens computed, prompts' and generated ones'. */
  readonly tokens: number;
}

/**
 * vLLM V1's scheduler and KV cache as a step function, with step times from a hardware profile. No clock, no timers:
 * the caller says what time it is, runs `startStep`, lets `durationMs` pass on its own clock and calls `finishStep`.
 *
 * Running requests come first, then waiting ones; decodes and chunks of prompts share one token budget; nothing is
 * admitted in a step that preempted, and only what would fit whole; the last to run is preempted first, is computed
 * again from whatever of it is still cached, and waits at the front. Requests for an adapter beyond those that may run
 * at once are passed over until one of these has ended.
 */
export class EngineModel {
  readonly profile: HardwareProfile;
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  readonly maxLoras: number;
  readonly cache: KvCache;
  /** 1 is the profile's speed, 0.5 half of it. May be changed between steps. */
  speed = 1;
  /** Totals since the start, in tokens and requests. */
  readonly totals = { prefixQueryTokens: 0, prefixHitTokens: 0, receivedTokens: 0, preemptions: 0 };
  /** Called when a sequence's blocks are ready to be filled by another engine; whoever fills them calls `received`. */
  onReceiving: (sequence: Sequence) => void = () => undefined;

  readonly #sequences = new Map<string, Sequence>();
  readonly #running: Sequence[] = [];
  readonly #waiting: Sequence[] = [];
  readonly #receiving = new Set<Sequence>();
  /** Blocks kept for other engines, by request. */
  readonly #kept = new Map<string, number[]>();
  readonly #produced: Sequence[] = [];
  readonly #work: StepWork = { tokens: 0, sequences: 0, prefillAttention: 0, decodeContext: 0 };
  #inStep = false;

  constructor(profile: HardwareProfile, options: EngineModelOptions) {
    this.profile = profile;
    this.blockSize = options.blockSize;
    this.maxNumSeqs = options.maxNumSeqs ?? profile.maxNumSeqs;
    this.maxNumBatchedTokens = options.maxNumBatchedTokens ?? profile.maxNumBatchedTokens;
    this.maxLoras = options.maxLoras ?? 1;
    const blocks = Math.floor((options.kvCacheTokens ?? profile.kvCacheTokens) / options.blockSize);
    this.cache = new KvCache(blocks, options.prefixCaching ?? true, options.listener);
  }

  get running(): number {
    return this.#running.length;
  }

  get waiting(): number {
    return this.#waiting.length + this.#receiving.size;
  }

  /** Of those waiting, the ones whose cache is on its way. */
  get receiving(): number {
    return this.#receiving.size;
  }

  /** Running and waiting, in the order in which they came. */
  get sequences(): Iterable<Sequence> {
    return this.#sequences.values();
  }

  /** Adapters that requests in this state are for. */
  lorasOf(state: 'running' | 'waiting'): Set<string> {
    const loras = new Set<string>();
    for (const { lora } of state === 'running' ? this.#running : this.#waiting) if (lora !== null) loras.add(lora);
    return loras;
  }

  /** Share of the KV cache held by running requests, 0..1. */
  get kvUsage(): number {
    return this.cache.usage;
  }

  /** Queues a request. One that could never fit into the KV cache is refused (`request_invalid`). */
  submit(request: EngineRequest, nowMs: number): Sequence {
    const capacity = this.cache.blockCount * this.blockSize;
    if (request.promptTokens + request.maxOutputTokens > capacity) {
      throw new SignalboxError(
        'request_invalid',
        `The request may take ${request.promptTokens + request.maxOutputTokens} tokens, the KV cache holds ${capacity}.`,
      );
    }
    const sequence = new Sequence(request, nowMs);
    this.#sequences.set(request.id, sequence);
    this.#waiting.push(sequence);
    return sequence;
  }

  /** Ends a request at once: its client left, or a stop string came. Unknown ids are ignored. */
  abort(id: string): void {
    const sequence = this.#sequences.get(id);
    if (sequence === undefined) return;
    if (this.#receiving.delete(sequence)) return this.#end(sequence);
    const list = sequence.state === 'running' ? this.#running : this.#waiting;
    list.splice(list.indexOf(sequence), 1);
    this.#end(sequence);
  }

  /** The other engine has filled the sequence's blocks: it goes on, ahead of those that wait. */
  received(id: string): void {
    const sequence = this.#sequences.get(id);
    if (sequence === undefined || !this.#receiving.delete(sequence)) return;
    this.totals.receivedTokens += sequence.receivedTokens;
    sequence.receive();
    this.#seal(sequence, sequence.promptTokens);
    this.#waiting.unshift(sequence);
  }

  /** Frees the blocks kept of a request that has ended: others may have waited for the room. */
  letGo(id: string): void {
    const blocks = this.#kept.get(id);
    this.#kept.delete(id);
    if (blocks !== undefined) this.cache.release(blocks);
  }

  /** Plans a step that begins now; its duration in milliseconds, or null when there is nothing to do. */
  startStep(nowMs: number): number | null {
    const work = this.#work;
    work.tokens = 0;
    work.sequences = 0;
    work.prefillAttention = 0;
    work.decodeContext = 0;
    const preempted = this.#scheduleRunning();
    if (!preempted) this.#admitWaiting(nowMs);
    if (work.tokens === 0) return null;
    this.#inStep = true;
    return stepMs(this.profile.step, work) / this.speed;
  }

  /** Applies the step that `startStep` planned; `nowMs` is its end. */
  finishStep(nowMs: number): StepResult {
    const produced = this.#produced;
    produced.length = 0;
    if (!this.#inStep) return { produced, tokens: 0 };
    this.#inStep = false;
    let kept = 0;
    for (const sequence of this.#running) {
      sequence.computed += sequence.scheduled;
      const sampled = sequence.scheduled > 0 && sequence.computed === sequence.totalTokens;
      sequence.scheduled = 0;
      if (sampled) {
        sequence.produce(nowMs);
        produced.push(sequence);
      }
      if (sequence.finished) this.#end(sequence);
      else this.#running[kept++] = sequence;
    }
    this.#running.length = kept;
    return { produced, tokens: this.#work.tokens };
  }

  /** True when something was preempted. */
  #scheduleRunning(): boolean {
    let preempted = false;
    for (let at = 0; at < this.#running.length; at++) {
      const sequence = this.#running[at]!;
      const tokens = Math.min(sequence.totalTokens - sequence.computed, this.maxNumBatchedTokens - this.#work.tokens);
      if (tokens <= 0) continue;
      while (!this.#fit(sequence, tokens)) {
        preempted = true;
        const last = this.#running.pop()!;
        this.#preempt(last);
        if (last === sequence) return true;
      }
      this.#schedule(sequence, tokens);
    }
    return preempted;
  }

  #admitWaiting(nowMs: number): void {
    let passedOver = 0;
    while (this.#running.length < this.maxNumSeqs && this.#work.tokens < this.maxNumBatchedTokens) {
      const sequence = this.#waiting[passedOver];
      if (sequence === undefined) return;
      if (!this.#mayRun(sequence.lora)) {
        passedOver += 1;
        continue;
      }
      const { cache, blockSize } = this;
      const total = sequence.totalTokens;
      if (sequence.blocks.length > 0) {
        // What it received is there; all it lacks is its turn.
        this.#waiting.splice(passedOver, 1);
        sequence.admit(sequence.computed, sequence.sealed, nowMs);
        this.#start(sequence, total);
        continue;
      }
      // the last token is always computed, or there would be nothing to sample from
      const hits = cache.match(sequence.hashAt, Math.floor((total - 1) / blockSize));
      const needed = Math.ceil(total / blockSize) - hits;
      if (needed > cache.free - cache.freeAmong(sequence.hashAt, hits)) return;
      this.#waiting.splice(passedOver, 1);
      cache.adopt(sequence.blocks, sequence.hashAt, hits);
      if (sequence.preemptions === 0) {
        this.totals.prefixQueryTokens += total;
        this.totals.prefixHitTokens += hits * blockSize;
      }
      if (sequence.request.isReceived === true && sequence.preemptions === 0) {
        this.#beginReceiving(sequence, hits);
        continue;
      }
      sequence.admit(hits * blockSize, hits, nowMs);
      this.#start(sequence, total);
    }
  }

  #start(sequence: Sequence, total: number): void {
    const tokens = Math.min(total - sequence.computed, this.maxNumBatchedTokens - this.#work.tokens);
    this.#fit(sequence, tokens);
    this.#running.push(sequence);
    this.#schedule(sequence, tokens);
  }

  /** All that is not cached here comes from elsewhere; its blocks are taken at once, so that it has a place to come to. */
  #beginReceiving(sequence: Sequence, hits: number): void {
    const total = sequence.promptTokens;
    this.cache.extend(sequence.blocks, Math.ceil(total / this.blockSize) - hits);
    sequence.state = 'receiving';
    sequence.sealed = hits;
    sequence.cachedTokens = hits * this.blockSize;
    sequence.receivedTokens = total - sequence.cachedTokens;
    this.#receiving.add(sequence);
    this.onReceiving(sequence);
  }

  #mayRun(lora: string | null): boolean {
    if (lora === null) return true;
    const running = this.lorasOf('running');
    return running.has(lora) || running.size < this.maxLoras;
  }

  /** Blocks for `tokens` more; false when there are too few. */
  #fit(sequence: Sequence, tokens: number): boolean {
    const missing = Math.ceil((sequence.computed + tokens) / this.blockSize) - sequence.blocks.length;
    return missing <= 0 || this.cache.extend(sequence.blocks, missing);
  }

  #schedule(sequence: Sequence, tokens: number): void {
    const work = this.#work;
    const context = sequence.computed;
    sequence.scheduled = tokens;
    work.tokens += tokens;
    work.sequences += 1;
    if (tokens === 1) work.decodeContext += context;
    else work.prefillAttention += tokens * (context + tokens / 2);
    this.#seal(sequence, context + tokens);
  }

  #seal(sequence: Sequence, tokens: number): void {
    const full = Math.floor(tokens / this.blockSize);
    for (let index = sequence.sealed; index < full; index++) {
      const parentHash = index === 0 ? 0 : sequence.hashAt(index - 1);
      this.cache.seal(sequence.blocks[index]!, sequence.sealAt(index), sequence.id, index, parentHash);
    }
    sequence.sealed = full;
  }

  #preempt(sequence: Sequence): void {
    this.cache.release(sequence.blocks);
    sequence.preempt();
    this.#waiting.unshift(sequence);
    this.totals.preemptions += 1;
  }

  #end(sequence: Sequence): void {
    if (sequence.request.isKept === true && sequence.finished) this.#kept.set(sequence.id, [...sequence.blocks]);
    else this.cache.release(sequence.blocks);
    sequence.state = 'ended';
    this.#sequences.delete(sequence.id);
  }
}
