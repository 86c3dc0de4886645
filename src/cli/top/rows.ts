import type { DecisionJson } from '../../journal/decision-schema.ts';
import type { EndpointJson } from '../../admin/json.ts';
import type { Snapshot } from './feed.ts';
import type { Sort } from './view.ts';

/** An endpoint with what the last decisions tell of it. */
export interface EndpointRow extends EndpointJson {
  /** Of the last decisions, those that picked it, 0..1; null when there were none. */
  readonly share: number | null;
  /** Of the prompt tokens it answered, those that its engine had cached, 0..1; null when none said. */
  readonly cachedShare: number | null;
}

export function endpointRows({ endpoints, decisions }: Snapshot): EndpointRow[] {
  const placed = decisions.filter(({ picked }) => picked !== null).length;
  return endpoints.map((endpoint) => {
    const own = decisions.filter(({ picked }) => picked === endpoint.name).length;
    let prompt = 0;
    let cached = 0;
    for (const { outcome } of decisions) {
      if (outcome?.endpoint !== endpoint.name || outcome.cachedTokens === null || outcome.promptTokens === null)
        continue;
      prompt += outcome.promptTokens;
      cached += outcome.cachedTokens;
    }
    const share = placed === 0 ? null : own / placed;
    return { ...endpoint, share, cachedShare: prompt === 0 ? null : cached / prompt };
  });
}

const sortValue: Readonly<Record<Exclude<Sort, 'name'>, (row: EndpointRow) => number | null>> = {
  'in flight': ({ inFlight }) => inFlight,
  'queued tok': ({ queuedPrefillTokens }) => queuedPrefillTokens,
  running: ({ running }) => running,
  waiting: ({ waiting }) => waiting,
  KV: ({ kvUsage }) => kvUsage,
  speed: ({ speed }) => speed,
  'cached tok': ({ cachedTokens }) => cachedTokens,
  cached: ({ cachedShare }) => cachedShare,
  share: ({ share }) => share,
};

/** Names from A to Z; numbers from the largest, the unknown ones last. */
export function sorted(rows: readonly EndpointRow[], by: Sort): EndpointRow[] {
  const named = rows.toSorted((a, b) => a.name.localeCompare(b.name));
  if (by === 'name') return named;
  const valueOf = (row: EndpointRow): number => sortValue[by](row) ?? -Infinity;
  return named.toSorted((a, b) => valueOf(b) - valueOf(a) || 0);
}

export function matchingDecisions(decisions: readonly DecisionJson[], filter: string): DecisionJson[] {
  return decisions.filter(({ id, requestId, model, picked, reason, outcome }) =>
    matches([id, requestId, model, picked ?? '', reason, String(outcome?.status ?? '')], filter),
  );
}

export function matches(texts: readonly string[], filter: string): boolean {
  return texts.some((text) => text.toLowerCase().includes(filter.toLowerCase()));
}

/** Requests a second over the last ten seconds, or over the time that the decisions kept go back. */
export function requestsPerSecond({ decisions, epochMs }: Snapshot): number {
  const ages = decisions.map(({ time }) => (epochMs - Date.parse(time)) / 1000).filter((age) => age < 10);
  if (ages.length < decisions.length || ages.length < 2) return ages.length / 10;
  return ages.length / Math.max(0.1, ...ages);
}
