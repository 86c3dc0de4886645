import type { Clock, Timer } from './clock.ts';

/**
 * A clock that jumps from one task to the next: an hour of traffic takes as long as its computing does.
 * Tasks due at the same moment run in the order in which they were asked for, so a run repeats exactly.
 */
export class VirtualClock implements Clock {
  readonly #startEpochMs: number;
  #nowMs = 0;
  #order = 0;
  /* A binary heap in parallel arrays: due time, order of asking, task. */
  #dueMs = new Float64Array(1024);
  #orders = new Float64Array(1024);
  #tasks: (Task | undefined)[] = [];
  #size = 0;

  constructor(startEpochMs = Date.UTC(2026, 0, 1)) {
    this.#startEpochMs = startEpochMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#startEpochMs + this.#nowMs;
  }

  after(delayMs: number, task: () => void): Timer {
    const scheduled: Task = { run: task, cancelled: false };
    this.#push(this.#nowMs + Math.max(0, delayMs), scheduled);
    return {
      cancel: () => {
        scheduled.cancelled = true;
      },
    };
  }

  /** Tasks waiting, cancelled ones included. */
  get pending(): number {
    return this.#size;
  }

  /** Runs tasks in order while `more()` says so and there are any; true when it stopped because `more()` said no. */
  run(more: () => boolean): boolean {
    while (more()) {
      if (this.#size === 0) return false;
      const dueMs = this.#dueMs[0] ?? 0;
      const task = this.#pop();
      if (task.cancelled) continue;
      this.#nowMs = dueMs;
      task.run();
    }
    return true;
  }

  #push(dueMs: number, task: Task): void {
    if (this.#size === this.#dueMs.length) {
      this.#dueMs = grown(this.#dueMs);
      this.#orders = grown(this.#orders);
    }
    const order = this.#order++;
    let hole = this.#size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      // A parent due at the same moment was asked for earlier: it stays above.
      if ((this.#dueMs[parent] ?? 0) <= dueMs) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#set(hole, dueMs, order, task);
  }

  #pop(): Task {
    const top = this.#tasks[0];
    if (top === undefined) throw new RangeError('no task to run');
    const last = --this.#size;
    const dueMs = this.#dueMs[last] ?? 0;
    const order = this.#orders[last] ?? 0;
    const task = this.#tasks[last];
    this.#tasks[last] = undefined;
    if (last === 0 || task === undefined) return top;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBefore(child + 1, child)) child += 1;
      const childDueMs = this.#dueMs[child] ?? 0;
      if (childDueMs > dueMs || (childDueMs === dueMs && (this.#orders[child] ?? 0) > order)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#set(hole, dueMs, order, task);
    return top;
  }

  #isBefore(left: number, right: number): boolean {
    const leftDueMs = this.#dueMs[left] ?? 0;
    const rightDueMs = this.#dueMs[right] ?? 0;
    return (
      leftDueMs < rightDueMs || (leftDueMs === rightDueMs && (this.#orders[left] ?? 0) < (this.#orders[right] ?? 0))
    );
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#dueMs[from] ?? 0, this.#orders[from] ?? 0, this.#tasks[from]);
  }

  #set(at: number, dueMs: number, order: number, task: Task | undefined): void {
    this.#dueMs[at] = dueMs;
    this.#orders[at] = order;
    this.#tasks[at] = task;
  }
}

interface Task {
  readonly run: () => void;
  cancelled: boolean;
}

function grown(column: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(column.length * 2);
  longer.set(column);
  return longer;
}
