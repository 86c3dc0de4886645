import { SignalboxError } from '../base/errors.ts';
import type { ShedReason } from '../scheduler/decision.ts';

/** Why a request is not to wait, or to wait no longer, and what its client is told. */
export interface TurnedAway {
  readonly shed: ShedReason;
  readonly error: SignalboxError;
}

function turnedAway(shed: ShedReason, message: string, retryAfterSeconds = 5): TurnedAway {
  return { shed, error: new SignalboxError('saturated', message, { retryAfterSeconds }) };
}

/** Its first token was wanted within `target` seconds and would come after `seconds`. */
export function cannotBeMet(shed: 'too-late' | 'missed', target: number, seconds: number): TurnedAway {
  const message = `The first token was wanted within ${target} s and would come after about ${seconds.toFixed(1)} s.`;
  return turnedAway(shed, message, Math.max(1, seconds - target));
}

/** The client said how long it would wait. */
export function clientWaitsNoLonger(seconds: number): TurnedAway {
  const message = `Every endpoint was busy for the ${seconds} s that the client waits.`;
  return { shed: 'missed', error: new SignalboxError('endpoint_timeout', message, { retryAfterSeconds: 5 }) };
}

export function queueIsFull(waiting: number): TurnedAway {
  return turnedAway('queue-full', `Every endpoint is busy, and ${waiting} requests wait already.`);
}

export function waitedTooLong(seconds: number): TurnedAway {
  return turnedAway('expired', `Every endpoint was busy for the ${seconds.toFixed(0)} s that a request may wait.`);
}

export function madeRoom(): TurnedAway {
  return turnedAway('made-room', 'Every endpoint is busy, and requests of a higher priority took the room to wait.');
}
