import type { Clock, Timer } from '../base/clock.ts';
import { EngineModel } from '../engine/model/engine-model.ts';
import { transferMs } from '../engine/model/profiles.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';
import type { EngineRequest, Sequence } from '../engine/model/sequence.ts';
import { commonBlocks, isPrefilling, prefillMs } from './prefill-left.ts';

/** How long things are on their way between the router and an engine. */
export interface NetworkDelays {
  readonly requestMs: number;
  readonly answerMs: number;
}

/** What the router hears of a request it sent, at the time it hears it. */
export interface Answer {
  firstToken(cachedTokens: number): void;
  finished(): void;
  /** `status` as the engine would have answered; null when there was no answer, only a broken connection. */
  failed(status: number | null, reason: string): void;
}

/** What a scrape of an engine's metrics would say right now. */
interface Gauges {
  readonly waiting: number;
  readonly running: number;
  readonly kvUsage: number;
  readonly kvCapacityTokens: number;
}

/** An engine on the virtual clock behind a network: the same model as `signalbox engine`, without HTTP. */
export class SimulatedEngine {
  readonly #clock: Clock;
  readonly #profile: HardwareProfile;
  readonly #blockTokens: number;
  readonly #network: NetworkDelays;
  readonly #answers = new Map<Sequence, Answer>();
  /** Aborted: what is still on its way, and what the next step leaves out. */
  readonly #unwanted = new WeakSet<Answer>();
  readonly #aborted: string[] = [];
  /** Requests sent that have not reached the engine. */
  readonly #onTheWay = new Set<EngineRequest>();
  #model: EngineModel;
  #alive = true;
  #step: Timer | null = null;
  #stepEndMs = 0;
  #linkFreeAtMs = 0;

  constructor(clock: Clock, profile: HardwareProfile, blockTokens: number, network: NetworkDelays) {
    this.#clock = clock;
    this.#profile = profile;
    this.#blockTokens = blockTokens;
    this.#network = network;
    this.#model = this.#newModel();
  }

  #newModel(): EngineModel {
    const model = new EngineModel(this.#profile, { blockSize: this.#blockTokens });
    model.onReceiving = (sequence) => this.#receive(model, sequence);
    return model;
  }

  /** Null while it is down. */
  get gauges(): Gauges | null {
    const { waiting, running, kvUsage } = this.#model;
    const kvCapacityTokens = this.#model.cache.blockCount * this.#blockTokens;
    return this.#alive ? { waiting, running, kvUsage, kvCapacityTokens } : null;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get preemptions(): number {
    return this.#model.totals.preemptions;
  }

  /** As a multiple of the profile's. */
  get speed(): number {
    return this.#model.speed;
  }

  /** Leading blocks of a prompt sent now that will be in the cache when its turn comes, if nothing is evicted till then. */
  cachedBlocks(hashes: ArrayLike<number>): number {
    return this.#blocksAhead(hashes, [...this.#prefilling(), ...this.#onTheWay]);
  }

  /** Seconds until a prompt sent now would be begun: the rest of this step, and every prompt before it. */
  queuedPrefillSeconds(nowMs: number): number {
    let ms = Math.max(0, this.#stepEndMs - nowMs);
    const ahead: EngineRequest[] = [];
    for (const sequence of this.#model.sequences) {
      if (!isPrefilling(sequence)) continue;
      const { request, totalTokens } = sequence;
      const isRunning = sequence.state === 'running';
      const computed = isRunning
        ? sequence.computed + sequence.scheduled
        : this.#blocksAhead(request.blockHashes, ahead) * this.#blockTokens;
      ms += prefillMs(this.#model, totalTokens - computed, computed);
      ahead.push(request);
    }
    for (const request of this.#onTheWay) {
      const cached = this.#blocksAhead(request.blockHashes, ahead) * this.#blockTokens;
      ms += prefillMs(this.#model, request.promptTokens - cached, cached);
      ahead.push(request);
    }
    return ms / 1000;
  }

  /** Seconds that `uncached` tokens behind `cached` ones take here beside the answers under way. */
  prefillSeconds(uncached: number, cached: number): number {
    return prefillMs(this.#model, uncached, cached) / 1000;
  }

  send(request: EngineRequest, answer: Answer): void {
    this.#onTheWay.add(request);
    this.#clock.after(this.#network.requestMs, () => {
      if (this.#alive) this.#clock.after(this.#profile.apiOverheadMs, () => this.#submit(request, answer));
      else {
        this.#onTheWay.delete(request);
        this.#fail(answer, null, 'connection refused');
      }
    });
  }

  /** Whoever asked wants the answer no longer, and hears nothing more of it. */
  abort(answer: Answer): void {
    this.#unwanted.add(answer);
    this.#clock.after(this.#network.requestMs, () => {
      for (const [sequence, each] of this.#answers) {
        if (each !== answer) continue;
        this.#answers.delete(sequence);
        this.#aborted.push(sequence.id);
        if (this.#step === null) this.#startStep();
        return;
      }
    });
  }

  /** Frees the cache kept of a request that was sent with `isKept`. */
  letGo(id: string): void {
    this.#model.letGo(id);
    if (this.#alive && this.#step === null) this.#startStep();
  }

  /** Caches come in one after another. */
  #receive(model: EngineModel, { id, receivedTokens }: Sequence): void {
    const nowMs = this.#clock.nowMs();
    this.#linkFreeAtMs = Math.max(nowMs, this.#linkFreeAtMs) + transferMs(this.#profile, receivedTokens);
    this.#clock.after(this.#linkFreeAtMs - nowMs, () => {
      if (model !== this.#model || !this.#alive) return;
      model.received(id);
      if (this.#step === null) this.#startStep();
    });
  }

  /** `factor` 1 is the profile's speed. Takes effect with the next step. */
  setSpeed(factor: number): void {
    this.#model.speed = factor;
  }

  /** Dies: what it was doing is lost, and so is its cache. */
  fail(): void {
    this.#alive = false;
    this.#step?.cancel();
    this.#step = null;
    for (const answer of this.#answers.values()) this.#fail(answer, null, 'connection reset');
    this.#answers.clear();
  }

  /** Starts again, empty. */
  return(): void {
    if (this.#alive) return;
    const { speed } = this.#model;
    this.#model = this.#newModel();
    this.#model.speed = speed;
    this.#alive = true;
  }

  #submit(request: EngineRequest, answer: Answer): void {
    this.#onTheWay.delete(request);
    if (this.#unwanted.has(answer)) return;
    if (!this.#alive) {
      this.#fail(answer, null, 'connection reset');
      return;
    }
    if (request.promptTokens + request.maxOutputTokens > this.#model.cache.blockCount * this.#blockTokens) {
      this.#fail(answer, 400, 'longer than the KV cache');
      return;
    }
    this.#answers.set(this.#model.submit(request, this.#clock.nowMs()), answer);
    if (this.#step === null) this.#startStep();
  }

  #startStep(): void {
    for (const id of this.#aborted.splice(0)) this.#model.abort(id);
    const durationMs = this.#model.startStep(this.#clock.nowMs());
    this.#stepEndMs = this.#clock.nowMs() + (durationMs ?? 0);
    this.#step = durationMs === null ? null : this.#clock.after(durationMs, this.#finishStep);
  }

  readonly #finishStep = (): void => {
    const { produced } = this.#model.finishStep(this.#clock.nowMs());
    for (const sequence of produced) {
      if (sequence.generated === 1) {
        const answer = this.#answers.get(sequence);
        if (answer === undefined) continue;
        const { cachedTokens } = sequence;
        this.#clock.after(this.#network.answerMs, () => answer.firstToken(cachedTokens));
      }
      if (sequence.finished) {
        const answer = this.#answers.get(sequence);
        if (answer === undefined) continue;
        this.#answers.delete(sequence);
        this.#clock.after(this.#network.answerMs, () => answer.finished());
      }
    }
    this.#startStep();
  };

  *#prefilling(): Generator<EngineRequest> {
    for (const sequence of this.#model.sequences) if (isPrefilling(sequence)) yield sequence.request;
  }

  /** Leading blocks that are cached, or will be once the requests ahead are computed. */
  #blocksAhead(hashes: ArrayLike<number>, ahead: readonly EngineRequest[]): number {
    const cached = this.#model.cache.match((index) => hashes[index]!, hashes.length);
    return ahead.reduce((most, { blockHashes }) => Math.max(most, commonBlocks(hashes, blockHashes)), cached);
  }

  #fail(answer: Answer, status: number | null, reason: string): void {
    this.#clock.after(this.#network.answerMs, () => answer.failed(status, reason));
  }
}
