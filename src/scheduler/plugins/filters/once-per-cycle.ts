import type { Cycle } from '../../plugin.ts';

/** What a filter finds out about all candidates together, computed for the first and kept for the rest of the cycle. */
export function oncePerCycle<Result, State>(
  compute: (cycle: Cycle, state: State) => Result,
): (cycle: Cycle, state: State) => Result {
  let last: { cycle: Cycle; state: State; result: Result } | null = null;
  return (cycle, state) => {
    if (last === null || last.cycle !== cycle || last.state !== state) {
      last = { cycle, state, result: compute(cycle, state) };
    }
    return last.result;
  };
}
