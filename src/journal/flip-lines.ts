import type { FlipJson, FlipsJson } from './decision-schema.ts';
import type { Names } from './text.ts';

/** As one reads after "3 more"; those counted also after "1 more". */
const words: Readonly<Record<FlipJson['input'], string>> = {
  cachedTokens: 'cached tokens',
  queuedPrefillTokens: 'queued prefill tokens',
  queuedPrefillSeconds: 'queued prefill',
  contextTokens: 'tokens in use',
  prefillSeconds: 'own prefill',
  inFlight: 'requests in flight',
  othersInFlight: 'requests from elsewhere',
  waiting: 'waiting requests',
  running: 'running requests',
  kvUsage: 'KV cache use',
  ageMs: 'gauge age',
};

/** What would have sent the request elsewhere, a line each, the smallest change first. */
export function flipLines({ unknown, profiles }: FlipsJson, short: Names, sent: boolean): string[] {
  const would = sent ? 'would have' : 'would';
  if (unknown !== null) return [`what ${would} put it elsewhere is not known: ${unknown}`];
  return profiles.flatMap(({ profile, flips }) => {
    const where = profiles.length > 1 ? ` (profile ${profile})` : '';
    if (flips.length === 0) return [`no number known of the candidates decided this${where}`];
    const byTarget = Map.groupBy(
      flips.filter(({ to }) => to !== null),
      ({ picks }) => (picks === null ? 'nowhere' : `to ${short.of(picks)}`),
    );
    const possible = [...byTarget].flatMap(([target, group]) => [
      `it would ${sent ? 'have gone' : 'go'} ${target}${where}`,
      ...group.map((flip) => {
        const who = flip.endpoint === flip.picks ? 'it' : short.of(flip.endpoint);
        return `  if ${who} ${sent ? 'had had' : 'had'} ${change(flip)}`;
      }),
    ]);
    const never = flips
      .filter(({ to }) => to === null)
      .map(({ endpoint, input }) => `  ${words[input]} at ${short.of(endpoint)}`);
    return [
      ...possible,
      ...(never.length === 0 ? [] : [`no value of these alone ${would} put it elsewhere${where}`, ...never]),
    ];
  });
}

/** E.g. "9 more requests in flight: 10 instead of 1". */
export function change(flip: FlipJson): string {
  const { from, unit, input } = flip;
  const by = flip.to! - (from ?? 0);
  const isCount = unit === 'requests' || unit === 'tokens';
  const more = by >= 0 ? 'more' : isCount ? 'fewer' : 'less';
  const what = isCount && Math.abs(by) === 1 ? words[input].replace(/(request|token)s/, '$1') : words[input];
  const before = from === null ? 'unknown' : shown(flip, from);
  return `${shown(flip, Math.abs(by))} ${more} ${what}: ${shown(flip, flip.to!)} instead of ${before}`;
}

/** With its unit, as short as it stays right: the steps of the search are thousandths. */
function shown({ unit }: FlipJson, value: number): string {
  switch (unit) {
    case 'share':
      return `${Number((100 * value).toFixed(1))}%`;
    case 'seconds':
      return `${Number(value.toFixed(3))} s`;
    case 'milliseconds':
      return `${Math.round(value)} ms`;
    case 'requests':
    case 'tokens':
      return String(value);
  }
}
