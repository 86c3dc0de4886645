/**
 * Time as an argument. The wall clock drives processes; the virtual clock drives replays and tests.
 * Nothing in `scheduler/`, `admission/`, `dispatch/` or `engine/model/` reads time in any other way.
 */
export interface Clock {
  /** Monotonic milliseconds, with fractions; only differences mean anything. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch, for timestamps people read. */
  epochMs(): number;
  /** Runs `task` once, `delayMs` from now. */
  after(delayMs: number, task: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const wallClock: Clock = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};
