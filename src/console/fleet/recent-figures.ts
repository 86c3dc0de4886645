import type { DecisionRowJson } from '../../admin/json.ts';

interface RecentFigures {
  /** Decisions of the last ten seconds; fewer where there were none before. */
  readonly requestsPerSecond: number;
  /** Of answers of the last minute's requests; null when there were none that stream. */
  readonly ttftP50: number | null;
  readonly ttftP90: number | null;
}

const rateMs = 10_000;
const latencyMs = 60_000;

/** Of rows in the order of time. */
export function recentFigures(rows: readonly DecisionRowJson[], nowMs: number): RecentFigures {
  const ttft: number[] = [];
  let decided = 0;
  for (let at = rows.length - 1; at >= 0; at--) {
    const row = rows[at]!;
    const ageMs = nowMs - Date.parse(row.time);
    if (ageMs > latencyMs) break;
    if (ageMs <= rateMs) decided += 1;
    if (row.ttftSeconds !== null) ttft.push(row.ttftSeconds);
  }
  ttft.sort((a, b) => a - b);
  return {
    requestsPerSecond: decided / (rateMs / 1000),
    ttftP50: percentile(ttft, 0.5),
    ttftP90: percentile(ttft, 0.9),
  };
}

/** The value that so large a share does not exceed. */
function percentile(sorted: readonly number[], part: number): number | null {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
}
