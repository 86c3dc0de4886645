import { z } from 'zod';
import { keysOf, parseJsonLine, tokens, blockId } from './format.ts';
import type { TraceFormat } from './format.ts';
import { runsOf } from './trace.ts';
import type { BlockRuns, TraceSession, TraceTurn } from './trace.ts';

const chat = z.object({
  chat_id: z.number(),
  /** -1 (or itself) in the first turn. */
  parent_chat_id: z.number(),
  timestamp: z.number().min(0),
  input_length: tokens,
  output_length: tokens,
  hash_ids: z.array(blockId),
});

interface Turn {
  readonly atMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly blocks: BlockRuns;
  readonly children: number[];
}

/**
 * Alibaba's Qwen-Bailian traces (qwen-bailian-usagetraces-anon): seconds, blocks of 16 tokens, turns tied together by
 * their parent. The file does not say when an answer ended, so the whole gap between two turns is taken as think time.
 */
export const qwenBailian: TraceFormat = {
  title: 'Qwen-Bailian',
  blockTokens: 16,
  hasArrivals: true,
  recognises(firstLine) {
    const keys = keysOf(firstLine);
    return keys !== null && keys.has('chat_id') && keys.has('parent_chat_id') && keys.has('hash_ids');
  },
  reader() {
    const turns = new Map<number, Turn>();
    const roots: number[] = [];
    return {
      line(line) {
        const read = parseJsonLine(line, chat);
        turns.set(read.chat_id, {
          atMs: read.timestamp * 1000,
          promptTokens: read.input_length,
          outputTokens: read.output_length,
          blocks: runsOf(read.hash_ids),
          children: [],
        });
        // A parent that is not in the file (it was before its start) makes this the first turn we know.
        const parent = read.parent_chat_id === read.chat_id ? undefined : turns.get(read.parent_chat_id);
        if (parent === undefined) roots.push(read.chat_id);
        else parent.children.push(read.chat_id);
        return turns.size;
      },
      sessions: () => roots.map((root) => follow(turns, root, turns.get(root)!.atMs)),
    };
  },
};

/** The chat from `first` on: its first continuation is the next turn, others are branches beside it. */
function follow(turns: ReadonlyMap<number, Turn>, first: number, startMs: number): TraceSession {
  const chain: TraceTurn[] = [];
  let previousMs: number | null = null;
  for (let id: number | undefined = first; id !== undefined;) {
    const turn: Turn = turns.get(id)!;
    const [next, ...branches] = turn.children;
    chain.push({
      thinkMs: previousMs === null ? 0 : Math.max(0, turn.atMs - previousMs),
      promptTokens: turn.promptTokens,
      outputTokens: turn.outputTokens,
      blocks: turn.blocks,
      spawns: branches.map((branch) => follow(turns, branch, Math.max(0, turns.get(branch)!.atMs - turn.atMs))),
    });
    previousMs = turn.atMs;
    id = next;
  }
  return { id: `chat-${first}`, startMs, turns: chain };
}
