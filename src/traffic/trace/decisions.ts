import { z } from 'zod';
import { keysOf, lineError, parseJsonLine, tokens } from './format.ts';
import type { TraceFormat } from './format.ts';
import { appendRun, blockCount, leadingBlocks } from './trace.ts';
import type { BlockRuns, TraceSession } from './trace.ts';

/** What is read of a Decision (docs/decision.schema.json). */
const decision = z.object({
  id: z.string(),
  time: z.iso.datetime(),
  model: z.string(),
  promptTokens: tokens,
  prefixBlocks: z
    .object({ tokensPerBlock: z.number().positive(), hashes: z.string().regex(/^([0-9a-f]{16})*$/) })
    .nullable(),
  outcome: z
    .object({ endpoint: z.string().nullable(), completionTokens: tokens.nullable(), promptTokens: tokens.nullable() })
    .nullable(),
});
type Decision = z.infer<typeof decision>;

/** Which Decisions of a journal are replayed. */
export interface JournalPart {
  /** Milliseconds since the Unix epoch; null for no bound. */
  readonly afterMs: number | null;
  readonly beforeMs: number | null;
  /** Null for all. */
  readonly model: string | null;
}

export const journalTitle = 'Decisions';
const wholeJournal: JournalPart = { afterMs: null, beforeMs: null, model: null };
const blockTokens = 64;
const hashDigits = 16;

/**
 * Decisions of a live gateway, as its admin API lists them: JSON lines, or the array in one line. Only answered ones,
 * since nobody knows how long the others' answers would have been.
 *
 * A Decision holds no prompt, but hashes of its beginnings: where two prompts have one in common, they begin alike. The
 * seed is the process's, so nothing is shared across a restart.
 */
export function decisionsOf(part: JournalPart = wholeJournal): TraceFormat {
  return {
    title: journalTitle,
    blockTokens,
    hasArrivals: true,
    recognises(firstLine) {
      const keys = keysOf(firstLine);
      if (keys !== null) return keys.has('promptTokens') && keys.has('admission') && keys.has('outcome');
      return firstLine.startsWith('[{') && firstLine.includes('"admission"');
    },
    reader() {
      const kept: { readonly atMs: number; readonly made: Decision }[] = [];
      return {
        line(line) {
          const isArray = line.text.startsWith('[');
          const made = isArray ? parseJsonLine(line, z.array(decision)) : [parseJsonLine(line, decision)];
          for (const one of made) {
            const atMs = Date.parse(one.time);
            if (Number.isNaN(atMs)) throw lineError(line, 'time: is no date');
            if (atMs < (part.afterMs ?? -Infinity) || atMs >= (part.beforeMs ?? Infinity)) continue;
            if (part.model === null || part.model === one.model) kept.push({ atMs, made: one });
          }
          return kept.length;
        },
        sessions: () => sessionsOf(kept.sort((left, right) => left.atMs - right.atMs)),
      };
    },
  };
}

function sessionsOf(journal: readonly { readonly atMs: number; readonly made: Decision }[]): TraceSession[] {
  /** Of the first prompt that began so. */
  const byBeginning = new Map<string, BlockRuns>();
  const sessions: TraceSession[] = [];
  let nextBlock = 0;
  for (const { atMs, made } of journal) {
    const { endpoint = null, completionTokens: outputTokens = null } = made.outcome ?? {};
    if (endpoint === null || outputTokens === null) continue;
    const promptTokens = made.outcome?.promptTokens ?? made.promptTokens;
    const wholeBlocks = Math.floor(promptTokens / blockTokens);
    const beginnings = beginningsOf(made);
    const shared = beginnings.findLastIndex((beginning) => byBeginning.has(beginning));
    // As the engine counted them: the blocks were counted by the estimate.
    const tokensEach = ((made.prefixBlocks?.tokensPerBlock ?? 0) * promptTokens) / made.promptTokens;
    const sharedBlocks = Math.min(wholeBlocks, Math.round(((shared + 1) * tokensEach) / blockTokens));
    const blocks = shared < 0 ? [] : leadingBlocks(byBeginning.get(beginnings[shared]!)!, sharedBlocks);
    const own = wholeBlocks - blockCount(blocks);
    appendRun(blocks, nextBlock, own);
    nextBlock += own + 1; // runs of different prompts must not join
    for (const beginning of beginnings.slice(shared + 1)) byBeginning.set(beginning, blocks);
    const turn = { thinkMs: 0, promptTokens, outputTokens, blocks, spawns: [] };
    sessions.push({ id: made.id, startMs: atMs, turns: [turn] });
  }
  return sessions;
}

/** The hashes of a prompt's beginnings, the shortest first. */
function beginningsOf({ prefixBlocks }: Decision): string[] {
  const { hashes } = prefixBlocks ?? { hashes: '' };
  return Array.from({ length: hashes.length / hashDigits }, (_, at) =>
    hashes.slice(at * hashDigits, (at + 1) * hashDigits),
  );
}
