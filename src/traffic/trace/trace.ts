/**
 * Recorded traffic in one form, whatever file it came from: sessions, each a sequence of turns. A turn is sent when the
 * one before it has been answered and its think time is over, never at its recorded time, or a slow fleet would not be
 * punished for being slow. A request that belongs to no session is a session of one turn.
 */
export interface Trace {
  readonly name: string;
  /** What the file turned out to be, for people. */
  readonly format: string;
  /** Tokens of one prefix block. */
  readonly blockTokens: number;
  /** False where sessions have no recorded start: they begin when another one ends. */
  readonly hasArrivals: boolean;
  /** In the order of their starts. */
  readonly sessions: readonly TraceSession[];
}

export interface TraceSession {
  readonly id: string;
  /** Milliseconds after the trace's start; in `spawns`, after the end of the turn that starts it. */
  readonly startMs: number;
  readonly turns: readonly TraceTurn[];
}

export interface TraceTurn {
  /** Milliseconds between the end of the turn before and this one; 0 in the first. */
  readonly thinkMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Leading blocks of the prompt. What they do not cover belongs to this turn alone. */
  readonly blocks: BlockRuns;
  /** Sessions that start when this turn ends and run beside this one: sub-agents, branches of a chat. */
  readonly spawns: readonly TraceSession[];
}

/**
 * Ids of prefix blocks as runs of consecutive numbers: first, count, first, count… Equal ids are equal text.
 * (Spelt out, the shipped agent sessions alone would be 45 million ids.)
 */
export type BlockRuns = readonly number[];

export const noBlocks: BlockRuns = [];

/** Appends ids `first`, `first + 1`, …; joins them to the last run where they go on from it. */
export function appendRun(runs: number[], first: number, count: number): void {
  if (count <= 0) return;
  const last = runs.length - 2;
  if (last >= 0 && runs[last]! + runs[last + 1]! === first) runs[last + 1]! += count;
  else runs.push(first, count);
}

export function runsOf(ids: Iterable<number>): BlockRuns {
  const runs: number[] = [];
  for (const id of ids) appendRun(runs, id, 1);
  return runs;
}

/** The first `count` blocks of `runs`. */
export function leadingBlocks(runs: BlockRuns, count: number): number[] {
  const leading: number[] = [];
  let left = count;
  for (let at = 0; at < runs.length && left > 0; at += 2) {
    const taken = Math.min(left, runs[at + 1]!);
    leading.push(runs[at]!, taken);
    left -= taken;
  }
  return leading;
}

export function blockCount(runs: BlockRuns): number {
  let count = 0;
  for (let at = 1; at < runs.length; at += 2) count += runs[at]!;
  return count;
}

export function* blockIds(runs: BlockRuns): Generator<number, void> {
  for (let at = 0; at < runs.length; at += 2) {
    const first = runs[at]!;
    for (let id = first; id < first + runs[at + 1]!; id++) yield id;
  }
}

/** Requests of a session with everything it spawns. */
export function turnCount(session: TraceSession): number {
  return session.turns.reduce(
    (sum, turn) => sum + 1 + turn.spawns.reduce((spawned, inner) => spawned + turnCount(inner), 0),
    0,
  );
}
