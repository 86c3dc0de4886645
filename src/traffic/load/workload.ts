import { SignalboxError } from '../../base/errors.ts';
import { singleTurns, syntheticBlockTokens, syntheticSessions } from '../synthetic.ts';
import { readTrace } from '../trace/read.ts';
import { turnCount } from '../trace/trace.ts';
import type { TraceSession } from '../trace/trace.ts';
import type { Pacing } from './drive.ts';

/** What to send, as asked for on the command line. */
export interface WorkloadOptions {
  readonly trace: string | null;
  readonly ratePerSecond: number | null;
  readonly users: number | null;
  readonly speed: number;
  readonly maxRequests: number | null;
  /** Whether the run ends by time. */
  readonly hasDuration: boolean;
  readonly seed: number;
}

interface Workload {
  readonly title: string;
  readonly sessions: Iterable<TraceSession>;
  readonly pacing: Pacing;
  readonly blockTokens: number;
  readonly maxRequests: number;
}

const defaultUsers = 8;
const defaultRequests = 200;
/** Conversations that are open at a time when synthetic requests arrive at a rate. */
const openConversations = 32;

/** Throws `usage` on options that contradict each other and `config_invalid` on a trace that cannot be read. */
export async function openWorkload(options: WorkloadOptions): Promise<Workload> {
  const { trace: nameOrFile, ratePerSecond, users, seed } = options;
  if (ratePerSecond !== null && users !== null) {
    throw new SignalboxError(
      'usage',
      '--rate (requests arrive whatever happens) and --users (each waits) exclude each other',
    );
  }
  const pacing: Pacing | null =
    ratePerSecond !== null
      ? { kind: 'rate', perSecond: ratePerSecond }
      : users !== null
        ? { kind: 'concurrent', sessions: users }
        : null;

  if (nameOrFile === null) {
    const sessions = syntheticSessions(seed);
    const chosen = pacing ?? { kind: 'concurrent', sessions: defaultUsers };
    return {
      title: `synthetic conversations, ${titleOf(chosen)}`,
      sessions: chosen.kind === 'rate' ? singleTurns(sessions, openConversations, seed) : sessions,
      pacing: chosen,
      blockTokens: syntheticBlockTokens,
      maxRequests: options.maxRequests ?? (options.hasDuration ? Infinity : defaultRequests),
    };
  }

  const trace = await readTrace(nameOrFile, options.maxRequests === null ? {} : { maxRequests: options.maxRequests });
  const recorded: Pacing = trace.hasArrivals
    ? { kind: 'recorded', speed: options.speed }
    : { kind: 'concurrent', sessions: defaultUsers };
  const chosen = pacing ?? recorded;
  const total = trace.sessions.reduce((sum, session) => sum + turnCount(session), 0);
  return {
    title: `${trace.name}, ${titleOf(chosen)}`,
    sessions: trace.sessions,
    pacing: chosen,
    blockTokens: trace.blockTokens,
    maxRequests: Math.min(total, options.maxRequests ?? Infinity),
  };
}

function titleOf(pacing: Pacing): string {
  switch (pacing.kind) {
    case 'recorded':
      return pacing.speed === 1 ? 'as recorded' : `${pacing.speed} × as fast as recorded`;
    case 'rate':
      return `${pacing.perSecond} a second`;
    case 'concurrent':
      return `${pacing.sessions} at once`;
  }
}
