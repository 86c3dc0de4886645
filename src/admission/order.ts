import type { Asking } from './held.ts';
import type { FlowRule } from '../scheduler/flow-rule.ts';

/** Without a target, a deadline is this far away: behind whoever has one, by arrival among themselves. */
const farAwaySeconds = 3600;

/**
 * When a request would be next, in ms; lower goes first.
 * `shortest-uncached-first` is arrival + prefillWeight · own prefill: short ones first, while waiting moves everyone
 * forward alike, so that nobody is passed for longer than `prefillWeight` times the prefill it needs itself.
 */
export function orderOf(asking: Asking, { order, prefillWeight }: FlowRule): number {
  switch (order) {
    case 'first-come':
      return asking.arrivedAtMs;
    case 'earliest-deadline':
      return asking.arrivedAtMs + (asking.caller.ttftTargetSeconds ?? farAwaySeconds) * 1000;
    case 'shortest-uncached-first':
      return asking.arrivedAtMs + prefillWeight * asking.prefillSeconds * 1000;
  }
}
