import type { Clock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { exponential } from '../synthetic.ts';
import type { TraceSession, TraceTurn } from '../trace/trace.ts';
import { Slots } from './slots.ts';

/** When sessions start. */
export type Pacing =
  /** As recorded, `speed` times as fast. */
  | { readonly kind: 'recorded'; readonly speed: number }
  /** By chance (a Poisson process), so many a second on average, whether or not answers come. */
  | { readonly kind: 'rate'; readonly perSecond: number }
  /** So many at any time: one ends, the next starts. */
  | { readonly kind: 'concurrent'; readonly sessions: number };

export interface DrivePlan {
  readonly sessions: Iterable<TraceSession>;
  readonly pacing: Pacing;
  readonly maxRequests: number;
  /** Nothing is sent after this time. */
  readonly maxDurationMs: number;
  readonly thinkCapMs: number;
  /** Requests in flight at any time. With all places taken the next ones are late, and counted as such. */
  readonly concurrency: number;
  readonly seed: number;
}

/** What a session's client keeps from one answer for the next request. */
interface SessionMemory {
  /** Its last answer's `x-session-token`. */
  token: string | null;
}

interface Sent {
  readonly turn: TraceTurn;
  readonly session: SessionMemory;
  readonly key: string;
  /** How long after its time it was sent, because all places were taken. */
  readonly lateMs: number;
}

/**
 * Sends the turns of sessions at their times and waits for all that was sent. `send` never rejects.
 * An abort ends waiting and sending at once; ending what is in flight is the business of `send`.
 */
export async function drive(
  plan: DrivePlan,
  send: (sent: Sent) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const slots = new Slots(plan.concurrency);
  const random = seededRandom(plan.seed);
  const startedMs = clock.nowMs();
  const endMs = startedMs + plan.maxDurationMs;
  const running = new Set<Promise<void>>();
  let sentCount = 0;
  // Whoever thinks about a turn that will not be sent need not think to the end.
  const allSent = new AbortController();
  const noMore = AbortSignal.any([signal, allSent.signal]);

  const isOver = (): boolean => signal.aborted || sentCount >= plan.maxRequests || clock.nowMs() >= endMs;

  /** Sends one turn that has its place; false when there is nothing more to send. */
  async function sendTurn(turn: TraceTurn, session: SessionMemory, key: string, dueMs: number): Promise<boolean> {
    try {
      if (isOver()) return false;
      sentCount += 1;
      if (sentCount >= plan.maxRequests) allSent.abort();
      await send({ turn, session, key, lateMs: Math.max(0, clock.nowMs() - dueMs) });
      return true;
    } finally {
      slots.release();
    }
  }

  async function runSession(session: TraceSession, dueMs: number, hasPlace: boolean): Promise<void> {
    const spawned: Promise<void>[] = [];
    let turnDueMs = dueMs;
    let placed = hasPlace;
    const memory: SessionMemory = { token: null };
    for (const [index, turn] of session.turns.entries()) {
      if (index > 0) {
        const thinkMs = Math.min(turn.thinkMs, plan.thinkCapMs);
        turnDueMs = clock.nowMs() + thinkMs;
        await pause(clock, Math.min(thinkMs, endMs - clock.nowMs()), noMore);
      }
      if (!placed) await slots.acquire();
      placed = false;
      if (!(await sendTurn(turn, memory, `${session.id}#${index}`, turnDueMs))) break;
      for (const branch of turn.spawns) spawned.push(runSpawned(branch));
    }
    await Promise.all(spawned);
  }

  async function runSpawned(session: TraceSession): Promise<void> {
    const delayMs = Math.min(session.startMs, plan.thinkCapMs);
    await pause(clock, Math.min(delayMs, endMs - clock.nowMs()), noMore);
    await runSession(session, clock.nowMs(), false);
  }

  async function startAtTimes(startOf: (session: TraceSession) => number): Promise<void> {
    for (const session of plan.sessions) {
      const dueMs = startedMs + startOf(session);
      await pause(clock, Math.min(dueMs, endMs) - clock.nowMs(), noMore);
      if (isOver()) break;
      // Taking the place here keeps a flood of late sessions in the trace instead of in memory.
      await slots.acquire();
      if (isOver()) break;
      const run = runSession(session, dueMs, true);
      running.add(run);
      void run.finally(() => running.delete(run));
    }
    await Promise.all(running);
  }

  if (plan.pacing.kind === 'concurrent') {
    const sessions = plan.sessions[Symbol.iterator]();
    const worker = async (): Promise<void> => {
      while (!isOver()) {
        const next = sessions.next();
        if (next.done === true) return;
        await runSession(next.value, clock.nowMs(), false);
      }
    };
    await Promise.all(Array.from({ length: plan.pacing.sessions }, worker));
    return;
  }
  if (plan.pacing.kind === 'recorded') {
    const { speed } = plan.pacing;
    return startAtTimes((session) => session.startMs / speed);
  }
  const meanGapMs = 1000 / plan.pacing.perSecond;
  let atMs = 0;
  return startAtTimes(() => (atMs += exponential(random, meanGapMs)));
}

/** Waits, but not past an abort. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (!(delayMs > 0) || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    // A timer holds at most 2^31 ms; nobody waits longer than that.
    const timer = clock.after(Math.min(delayMs, 2 ** 31 - 1), done);
    function done(): void {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
