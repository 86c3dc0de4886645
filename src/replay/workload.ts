import type { Clock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { turnCount } from '../traffic/trace/trace.ts';
import type { Trace, TraceSession, TraceTurn } from '../traffic/trace/trace.ts';

/** Which part of a trace is replayed, and how densely. */
interface WorkloadOptions {
  /** Arrivals this many times as dense as recorded. Think times stay. */
  readonly rate: number;
  /** Sessions to replay, drawn by the seed; null for all, in the trace's order. */
  readonly sessions: number | null;
  /** Longer sessions end after this many turns. */
  readonly maxTurns: number;
  /** A session ends before a prompt that is longer, as it would with an engine that takes no longer ones. */
  readonly maxPromptTokens: number;
  readonly thinkTimeCapMs: number;
  /** Mean time between starts, for sessions whose starts were not recorded. */
  readonly sessionGapMs: number;
  readonly seed: number;
}

/** With so many sessions to a start on average, starts must have been rounded. */
const lotSize = 2;

/** Sessions with the times at which they start. */
export interface Workload {
  readonly sessions: readonly TraceSession[];
  readonly requestCount: number;
  readonly thinkTimeCapMs: number;
}

export function workloadOf(trace: Trace, options: WorkloadOptions): Workload {
  const random = seededRandom(options.seed);
  let chosen = cut(trace.sessions, options);
  if (options.sessions !== null && options.sessions < chosen.length) {
    chosen = trace.hasArrivals ? chosen.slice(0, options.sessions) : drawn(chosen, options.sessions, random);
  }
  const starts = trace.hasArrivals
    ? spreadStarts(chosen, random)
    : drawnStarts(chosen.length, options.sessionGapMs, random);
  const sessions = chosen
    .map((session, at) => ({ ...session, startMs: starts[at]! / options.rate }))
    .sort((left, right) => left.startMs - right.startMs);
  const requestCount = sessions.reduce((sum, session) => sum + turnCount(session), 0);
  return { sessions, requestCount, thinkTimeCapMs: options.thinkTimeCapMs };
}

/** What a client carries from turn to turn. */
export interface SessionMemory {
  /** Name of the endpoint that answered last, as a session token would say. */
  endpoint: string | null;
}

/**
 * Plays the sessions: `send` is called at each turn's time and calls back when its answer is complete, which is when
 * the next turn's think time begins. A turn that failed counts as answered.
 */
export function play(
  workload: Workload,
  clock: Clock,
  send: (turn: TraceTurn, memory: SessionMemory, answered: () => void) => void,
): void {
  const think = (thinkMs: number): number => Math.min(thinkMs, workload.thinkTimeCapMs);
  const start = (session: TraceSession, delayMs: number): void => {
    const memory = { endpoint: null };
    clock.after(delayMs, () => next(session, 0, memory));
  };
  const next = (session: TraceSession, index: number, memory: SessionMemory): void => {
    const turn = session.turns[index]!;
    send(turn, memory, () => {
      for (const spawned of turn.spawns) start(spawned, think(spawned.startMs));
      const following = session.turns[index + 1];
      if (following !== undefined) clock.after(think(following.thinkMs), () => next(session, index + 1, memory));
    });
  };
  for (const session of workload.sessions) start(session, session.startMs);
}

/**
 * Starts as recorded; where the recorder rounded them (Mooncake's come in lots, 3 s apart), each is moved by chance to
 * somewhere before the next, for requests do not come in lots.
 */
function spreadStarts(sessions: readonly TraceSession[], random: Random): number[] {
  const starts = sessions.map(({ startMs }) => startMs);
  const distinct = [...new Set(starts)].sort((left, right) => left - right);
  if (starts.length < distinct.length * lotSize) return starts;
  const gaps = distinct.slice(1).map((startMs, at) => startMs - distinct[at]!);
  const usualGapMs = gaps.sort((left, right) => left - right)[gaps.length >> 1] ?? 0;
  return starts.map((startMs) => startMs + random.next() * usualGapMs);
}

function drawnStarts(count: number, meanGapMs: number, random: Random): number[] {
  let startMs = 0;
  return Array.from({ length: count }, () => (startMs -= Math.log(1 - random.next()) * meanGapMs));
}

/** The sessions within the limits; those of which nothing is left are left out. */
function cut(
  sessions: readonly TraceSession[],
  limits: Pick<WorkloadOptions, 'maxTurns' | 'maxPromptTokens'>,
): TraceSession[] {
  return sessions
    .map((session) => {
      const tooLong = session.turns.findIndex(({ promptTokens }) => promptTokens > limits.maxPromptTokens);
      const kept = session.turns.slice(0, Math.min(limits.maxTurns, tooLong < 0 ? Infinity : tooLong));
      return { ...session, turns: kept.map((turn) => ({ ...turn, spawns: cut(turn.spawns, limits) })) };
    })
    .filter(({ turns }) => turns.length > 0);
}

/** `count` of `all` by chance, each at most once. */
function drawn<Item>(all: readonly Item[], count: number, random: Random): Item[] {
  const rest = [...all];
  for (let at = 0; at < count; at++) {
    const other = at + random.below(rest.length - at);
    [rest[at], rest[other]] = [rest[other]!, rest[at]!];
  }
  return rest.slice(0, count);
}
