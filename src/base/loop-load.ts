const windowMs = 250;

/** How busy this process's event loop is: the share of the last quarter second that it spent working, 0..1. */
export class LoopLoad {
  #before = performance.eventLoopUtilization();
  #beforeMs = performance.now();
  #share = 0;

  get share(): number {
    const nowMs = performance.now();
    if (nowMs - this.#beforeMs >= windowMs) {
      const now = performance.eventLoopUtilization();
      this.#share = performance.eventLoopUtilization(now, this.#before).utilization;
      this.#before = now;
      this.#beforeMs = nowMs;
    }
    return this.#share;
  }
}
