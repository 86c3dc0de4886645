import type { Clock, Timer } from '../../base/clock.ts';
import { formatCount, formatSeconds } from '../../charts/units.ts';
import type { Tally } from './tally.ts';

const barWidth = 24;

/** Where progress is shown: standard error, or a test's. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows how far a run is: a bar that moves on a terminal, else a line every few seconds. Returns what ends it. */
export function showProgress(
  output: ProgressOutput,
  tally: Tally,
  run: { startMs: number; maxRequests: number; maxDurationMs: number; inFlight: () => number },
  clock: Clock,
): () => void {
  const isTerminal = output.isTTY === true;
  let timer: Timer;
  const show = (): void => {
    const elapsedMs = clock.nowMs() - run.startMs;
    const done = tally.completed + tally.failed;
    const share = Math.min(1, Math.max(done / run.maxRequests, elapsedMs / run.maxDurationMs));
    const isEndless = !Number.isFinite(run.maxRequests) && !Number.isFinite(run.maxDurationMs);
    const filled = Math.round(share * barWidth);
    const bar = isEndless ? '' : `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} `;
    const total = Number.isFinite(run.maxRequests) ? `/${formatCount(run.maxRequests)}` : '';
    const text =
      `${formatSeconds(elapsedMs / 1000)}  ${formatCount(done)}${total} requests, ${run.inFlight()} in flight` +
      `${tally.failed > 0 ? `, ${formatCount(tally.failed)} failed` : ''}, TTFT p50 ${formatSeconds(tally.ttft.percentile(0.5))}`;
    output.write(isTerminal ? `\r\u001b[2K${bar}${text}` : `${text}\n`);
    timer = clock.after(isTerminal ? 250 : 5000, show);
  };
  timer = clock.after(isTerminal ? 250 : 5000, show);
  return () => {
    timer.cancel();
    if (isTerminal) output.write('\r\u001b[2K');
  };
}
