import type { DecisionRowJson } from '../../admin/json.ts';
import { hasFailed } from '../live/decision-list.ts';

export const verdicts = ['open', 'ok', 'failed', 'rejected', 'left', 'held'] as const;
type Verdict = (typeof verdicts)[number];

/** What of the decisions is to be seen; as it stands in the page's address. */
export interface Filter {
  /** In any of the texts: model, endpoint, reason, ids, status. */
  readonly text: string;
  readonly model: string | null;
  readonly endpoint: string | null;
  readonly verdict: Verdict | null;
  /** First token, or whole answer where it did not stream, at least so late; null for all. */
  readonly slowSeconds: number | null;
  readonly surprising: boolean;
}

export function readFilter(query: URLSearchParams): Filter {
  const slow = Number(query.get('slow') ?? NaN);
  return {
    text: query.get('text') ?? '',
    model: query.get('model'),
    endpoint: query.get('endpoint'),
    verdict: verdicts.find((verdict) => verdict === query.get('verdict')) ?? null,
    slowSeconds: Number.isFinite(slow) && slow > 0 ? slow : null,
    surprising: query.get('surprising') === '1',
  };
}

export function matches(row: DecisionRowJson, filter: Filter): boolean {
  if (filter.model !== null && row.model !== filter.model) return false;
  if (filter.endpoint !== null && ![row.endpoint, row.picked, row.prefill].includes(filter.endpoint)) return false;
  if (filter.verdict !== null && !hasVerdict(row, filter.verdict)) return false;
  if (filter.slowSeconds !== null && (row.ttftSeconds ?? row.e2eSeconds ?? 0) < filter.slowSeconds) return false;
  if (filter.surprising && row.surprise === null) return false;
  return filter.text === '' || textOf(row).includes(filter.text.toLowerCase());
}

function hasVerdict(row: DecisionRowJson, verdict: Verdict): boolean {
  switch (verdict) {
    case 'open':
      return row.status === null;
    case 'ok':
      return row.status !== null && row.status < 400;
    case 'failed':
      return hasFailed(row);
    case 'rejected':
      return row.verdict === 'rejected';
    case 'left':
      return row.status === 499;
    case 'held':
      return row.queuedSeconds >= 0.001;
  }
}

function textOf(row: DecisionRowJson): string {
  const { id, requestId, model, picked, endpoint, prefill, reason, surprise, status } = row;
  return [id, requestId, model, picked, endpoint, prefill, reason, surprise, status].join('\n').toLowerCase();
}
