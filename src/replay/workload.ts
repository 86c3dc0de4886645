import type { Clock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { turnCount } from '../traffic/trace/trace.ts';
import type { Trace, TraceSession, TraceTurn } from '../traffic/trace/trace.ts';

/** Which part of a trace is replayed, and how densely. */
export interface WorkloadOptions {
  /** Arrivals this many times as dense as recorded. Think times stay. */
  readonly rate: number;
  /** Sessions to replay, drawn by the seed; null for all, in the trace's order. */
  readonly sessions: number | null;
  /** Longer sessions end after this many turns. */
  readonly maxTurns: number;
  readonly thinkTimeCapMs: number;
  /** Mean time between starts, for sessions whose starts were not recorded. */
  readonly sessionGapMs: number;
  readonly seed: number;
}

/** Sessions with the times at which they start. */
export interface Workload {
  readonly sessions: readonly TraceSession[];
  readonly requestCount: number;
  readonly thinkTimeCapMs: number;
}

export function workloadOf(trace: Trace, options: WorkloadOptions): Workload {
  const random = seededRandom(options.seed);
  let chosen = trace.sessions;
  if (options.sessions !== null && options.sessions < chosen.length) {
    chosen = trace.hasArrivals ? chosen.slice(0, options.sessions) : drawn(chosen, options.sessions, random);
  }
  let startMs = 0;
  const sessions = chosen.map((session) => {
    if (trace.hasArrivals) startMs = session.startMs / options.rate;
    else startMs += (-Math.log(1 - random.next()) * options.sessionGapMs) / options.rate;
    return { ...cut(session, options.maxTurns), startMs };
  });
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

function cut(session: TraceSession, maxTurns: number): TraceSession {
  const turns = session.turns
    .slice(0, maxTurns)
    .map((turn) =>
      turn.spawns.length === 0 ? turn : { ...turn, spawns: turn.spawns.map((spawned) => cut(spawned, maxTurns)) },
    );
  return { ...session, turns };
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
