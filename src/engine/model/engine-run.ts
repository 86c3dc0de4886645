import type { Clock, Timer } from '../../base/clock.ts';
import type { EngineModel, StepResult } from './engine-model.ts';

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
    if (this.#timer === null && !this.#paused) {
      this.#stepEndMs = this.#clock.nowMs();
      this.#begin();
    }
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
    this.#timer = null;
  }

  #begin(): void {
    const durationMs = this.#model.startStep(this.#stepEndMs);
    if (durationMs === null) return;
    this.#stepEndMs += durationMs / this.#timeScale;
    const end = (): void => {
      this.#timer = null;
      this.#onStep(this.#model.finishStep(this.#clock.nowMs()));
      // What the caller did in between (submit, abort) may have woken it already.
      if (this.#timer === null && !this.#paused) this.#begin();
    };
    this.#timer = this.#clock.after(Math.max(0, this.#stepEndMs - this.#clock.nowMs()), end);
  }
}
