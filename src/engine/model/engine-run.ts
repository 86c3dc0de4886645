import type { Clock, Timer } from '../../base/clock.ts';
import type { EngineModel, StepResult } from './engine-model.ts';

/** Steps caught up with in one go; then others get their turn. */
const stepsInARow = 16;
/** Whoever is later than this (a stopped process, a machine gone to sleep) does not catch up: engines cannot. */
const longestLagMs = 250;

/**
 * Drives a model's steps by a clock, wall or virtual. Steps follow each other by their target times, so a late timer
 * does not make the engine slower.
 */
export class EngineRun {
  readonly #model: EngineModel;
  readonly #clock: Clock;
  readonly #onStep: (result: StepResult) => void;
  readonly #timeScale: number;
  #timer: Timer | null = null;
  #inStep = false;
  #stepEndMs = 0;
  #paused = false;

  /** `timeScale` 2 runs twice as fast as the profile says. */
  constructor(model: EngineModel, clock: Clock, onStep: (result: StepResult) => void, timeScale = 1) {
    this.#model = model;
    this.#clock = clock;
    this.#onStep = onStep;
    this.#timeScale = timeScale;
  }

  /** To be called after every `submit`. */
  wake(): void {
    if (this.#inStep || this.#paused) return;
    this.#stepEndMs = this.#clock.nowMs();
    if (this.#begin()) this.#wait();
  }

  /** Stops after the step under way, as a hung engine does; `resume` goes on. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.wake();
  }

  stop(): void {
    this.#paused = true;
    this.#timer?.cancel();
  }

  /** Begins the next step; false when there is nothing to do. */
  #begin(): boolean {
    const durationMs = this.#paused ? null : this.#model.startStep(this.#stepEndMs);
    this.#inStep = durationMs !== null;
    this.#stepEndMs += (durationMs ?? 0) / this.#timeScale;
    return this.#inStep;
  }

  #wait(): void {
    this.#timer = this.#clock.after(Math.max(0, this.#stepEndMs - this.#clock.nowMs()), () => this.#end());
  }

  #end(): void {
    for (let steps = 1; ; steps++) {
      const nowMs = this.#clock.nowMs();
      this.#stepEndMs = Math.max(this.#stepEndMs, nowMs - longestLagMs);
      this.#onStep(this.#model.finishStep(nowMs)); // may submit and abort; `wake` waits while in a step
      if (!this.#begin()) return;
      if (steps >= stepsInARow || this.#stepEndMs > this.#clock.nowMs()) return this.#wait();
    }
  }
}
