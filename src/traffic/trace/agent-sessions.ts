import { z } from 'zod';
import { keysOf, parseJsonLine, tokens, blockId } from './format.ts';
import type { TraceFormat } from './format.ts';
import { appendRun, leadingBlocks, turnCount } from './trace.ts';
import type { BlockRuns, TraceSession, TraceTurn } from './trace.ts';

const seconds = z.number().min(0);
const call = z.object({
  t: seconds,
  in: tokens,
  out: tokens,
  k: z.number().int().min(0),
  new: z.array(
    z.tuple([blockId, blockId]).refine(([first, last]) => last >= first && last - first < 10_000_000, {
      message: 'a range of block ids ends before it begins, or is far too long',
    }),
  ),
  api: seconds.nullish(),
  /** Null where the recorder did not know it: then the gap since the call before. */
  think: seconds.nullable(),
});
const subAgent = z.object({
  sub: z.object({ t: seconds, tool: tokens, sys: tokens, reqs: z.array(call).min(1) }),
});
const session = z.object({
  id: z.string(),
  block_size: z.literal(64),
  tool_tokens: tokens,
  system_tokens: tokens,
  reqs: z.array(z.union([call, subAgent])).refine((items) => items.length === 0 || !('sub' in items[0]!), {
    message: 'a session cannot begin with the call of a sub-agent',
  }),
});
type Call = z.infer<typeof call>;

/**
 * Sessions of coding agents (callanjfox/kv-cache-tester, re-encoded). Ids of blocks are local to a session in the file.
 * Sessions with the same tools and system prompt (told by the two lengths) begin with the same blocks, as real ones do.
 */
export const agentSessions: TraceFormat = {
  title: 'agent sessions',
  blockTokens: 64,
  hasArrivals: false,
  recognises(firstLine) {
    const keys = keysOf(firstLine);
    return keys !== null && keys.has('reqs') && keys.has('tool_tokens');
  },
  reader() {
    const ids = new BlockIds();
    const sessions: TraceSession[] = [];
    let requests = 0;
    return {
      line(line) {
        const read = readSession(parseJsonLine(line, session), ids.newSession());
        if (read.turns.length > 0) {
          sessions.push(read);
          requests += turnCount(read);
        }
        return requests;
      },
      sessions: () => sessions,
    };
  },
};

function readSession(file: z.infer<typeof session>, ids: SessionBlockIds): TraceSession {
  const turns: (TraceTurn & { spawns: TraceSession[] })[] = [];
  let blocks: BlockRuns = [];
  let previous: Call | undefined;
  let subAgents = 0;
  for (const item of file.reqs) {
    if ('sub' in item) {
      const { t, tool, sys, reqs } = item.sub;
      const id = `${file.id}/${++subAgents}`;
      ids.sharePrefix(reqs[0]!, tool, sys);
      let own: BlockRuns = [];
      const ownTurns = reqs.map((one, index) => {
        own = nextBlocks(own, one, ids);
        return turnOf(one, reqs[index - 1], own);
      });
      turns.at(-1)?.spawns.push({ id, startMs: Math.max(0, t - endOf(previous)) * 1000, turns: ownTurns });
      continue;
    }
    if (turns.length === 0) ids.sharePrefix(item, file.tool_tokens, file.system_tokens);
    blocks = nextBlocks(blocks, item, ids);
    turns.push(turnOf(item, previous, blocks));
    previous = item;
  }
  return { id: file.id, startMs: 0, turns };
}

function turnOf(one: Call, previous: Call | undefined, blocks: BlockRuns): TraceTurn & { spawns: TraceSession[] } {
  const thinkSeconds = previous === undefined ? 0 : (one.think ?? Math.max(0, one.t - endOf(previous)));
  return { thinkMs: thinkSeconds * 1000, promptTokens: one.in, outputTokens: one.out, blocks, spawns: [] };
}

/** Seconds after the start of its session. */
function endOf(one: Call | undefined): number {
  return one === undefined ? 0 : one.t + (one.api ?? 0);
}

function nextBlocks(previous: BlockRuns, one: Call, ids: SessionBlockIds): BlockRuns {
  const blocks = leadingBlocks(previous, one.k);
  for (const [first, last] of one.new) ids.append(blocks, first, last);
  return blocks;
}

/** Gives blocks ids that are unique over the file. */
class BlockIds {
  readonly #prefixes = new Map<string, number>();
  #next = 0;

  newSession(): SessionBlockIds {
    return new SessionBlockIds(this);
  }

  take(count: number): number {
    const first = this.#next;
    this.#next += count;
    return first;
  }

  /** First id of the prefix that all sessions with these tools and this system prompt share. */
  prefix(toolTokens: number, systemTokens: number, blocks: number): number {
    const key = `${toolTokens}+${systemTokens}`;
    const first = this.#prefixes.get(key) ?? this.take(blocks);
    this.#prefixes.set(key, first);
    return first;
  }
}

class SessionBlockIds {
  readonly #all: BlockIds;
  readonly #global = new Map<number, number>();

  constructor(all: BlockIds) {
    this.#all = all;
  }

  /** Lets the leading blocks of a session's first call stand for the prefix of its tools and system prompt. */
  sharePrefix(first: Call, toolTokens: number, systemTokens: number): void {
    const blocks = Math.floor((toolTokens + systemTokens) / agentSessions.blockTokens);
    const locals: number[] = [];
    for (const [from, to] of first.new) {
      for (let id = from; id <= to && locals.length < blocks; id++) locals.push(id);
    }
    // A sub-agent whose blocks the session has had before shares them with the session already.
    if (locals.length < blocks || locals.some((local) => this.#global.has(local))) return;
    const shared = this.#all.prefix(toolTokens, systemTokens, blocks);
    locals.forEach((local, index) => this.#global.set(local, shared + index));
  }

  append(runs: number[], first: number, last: number): void {
    for (let local = first; local <= last; local++) {
      let id = this.#global.get(local);
      if (id === undefined) {
        id = this.#all.take(1);
        this.#global.set(local, id);
      }
      appendRun(runs, id, 1);
    }
  }
}
