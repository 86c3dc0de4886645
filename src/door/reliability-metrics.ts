import type { BodyRoom } from '../api/body-room.ts';
import { readAtScrape, type Family, type Sample } from '../base/metrics.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';

/** What was done so that clients see nothing of failures, and what bounds memory. */
export function reliabilityFamilies({ fleet, retries }: Dispatch, bodies: BodyRoom): Family[] {
  const one = (name: string, help: string, value: () => number, type?: 'counter', across?: 'sum'): Family =>
    readAtScrape([`signalbox_${name}`], help, () => [{ labels: {}, value: value() }], type, across);
  const byReason = (name: string, help: string, counts: ReadonlyMap<string, number>, across?: 'first'): Family =>
    readAtScrape(
      [`signalbox_${name}`],
      help,
      (): Sample[] => [...counts].map(([reason, value]) => ({ labels: { reason }, value })),
      'counter',
      across,
    );
  return [
    byReason('ejections_total', 'Endpoints taken out of use, by what was wrong with them.', fleet.ejections, 'first'),
    byReason(
      'returns_total',
      'Endpoints taken into use again, by what had been wrong with them.',
      fleet.returns,
      'first',
    ),
    byReason('retries_total', 'Requests tried elsewhere before anything was answered, by why.', retries.retries),
    byReason('continuations_total', 'Streams that broke and went on elsewhere, by why.', retries.continuations),
    one(
      'retries_refused_total',
      'Further tries that the retry budget did not allow.',
      () => retries.refused,
      'counter',
    ),
    one('panic_mode', '1 while endpoints are used that fail, because most do.', () => (fleet.panics ? 1 : 0)),
    one('request_body_bytes', 'Memory that the bodies of requests take.', () => bodies.bytes, undefined, 'sum'),
    one(
      'request_body_limit_bytes',
      'The bound on it; requests beyond it are refused.',
      () => bodies.limitBytes,
      undefined,
      'sum',
    ),
  ];
}
