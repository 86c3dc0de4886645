import { parseDurationMs } from '../base/duration.ts';
import { SignalboxError } from '../base/errors.ts';

/** Something that happens to an endpoint during a replay. */
export interface FleetEvent {
  /** Since the first request, in the replay's time. */
  readonly atMs: number;
  /** Number of the endpoint, from 0. */
  readonly endpoint: number;
  readonly action: FleetAction;
}

type FleetAction =
  /** From now on `factor` times as fast as its profile says; 1 is recovery. */
  | { readonly kind: 'slow'; readonly factor: number }
  /** The engine dies with everything in it. */
  | { readonly kind: 'fail' }
  /** It is there again, with an empty cache. */
  | { readonly kind: 'return' };

const form =
  'expected "TIME ENDPOINT slow FACTOR", "TIME ENDPOINT fail" or "TIME ENDPOINT return", as in "600s 3 slow 0.33"';

/**
 * Reads one event: a time (`90s`, `10m`), the endpoint's number from 0, and what happens to it.
 * Throws `usage` that names `text` when it cannot be read or names an endpoint that is not there.
 */
export function parseFleetEvent(text: string, endpointCount: number): FleetEvent {
  const fault = (reason: string): SignalboxError => new SignalboxError('usage', `event "${text}": ${reason}`);
  const [time, number, kind, factorText, ...rest] = text.trim().split(/\s+/);
  const atMs = parseDurationMs(time ?? '');
  if (atMs === null || number === undefined || kind === undefined || rest.length > 0) throw fault(form);
  const endpoint = Number(number);
  if (!Number.isInteger(endpoint) || endpoint < 0 || endpoint >= endpointCount) {
    throw fault(`there is no endpoint ${number}; they are numbered 0 to ${endpointCount - 1}`);
  }
  if (kind === 'slow') {
    const factor = Number(factorText);
    if (!(factor > 0)) throw fault('"slow" takes the share of its speed that is left, above 0 (1 is recovery)');
    return { atMs, endpoint, action: { kind, factor } };
  }
  if ((kind === 'fail' || kind === 'return') && factorText === undefined) return { atMs, endpoint, action: { kind } };
  throw fault(form);
}
