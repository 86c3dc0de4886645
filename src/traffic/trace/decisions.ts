import { z } from 'zod';
import { keysOf, lineError, parseJsonLine, tokens } from './format.ts';
import type { TraceFormat } from './format.ts';
import { appendRun, blockCount, leadingBlocks } from './trace.ts';
import type { BlockRuns, TraceSession } from './trace.ts';

/** What is read of a Decision (docs: the admin API's `/api/decisions`). */
const decision = z.object({
  id: z.string(),
  time: z.iso.datetime(),
  model: z.string(),
  promptTokens: tokens,
  inputs: z.record(z.string(), z.object({ cachedTokens: z.number().min(0).nullable() })),
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
/** How many of an endpoint's earlier prompts are looked through for the one whose beginning comes again. */
const rememberedPrompts = 1000;

/**
 * Decisions of a live gateway, as its admin API lists them: JSON lines, or the array in one line. Only answered ones,
 * since nobody knows how long the others' answers would have been.
 *
 * A Decision holds no prompt, only how much of it the router thought each endpoint had cached. That much is made to be
 * shared with the latest prompt at that endpoint that is long enough, so that what could be reused then can be again.
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
  const sentTo = new Map<string, { readonly promptTokens: number; readonly blocks: BlockRuns }[]>();
  const sessions: TraceSession[] = [];
  let nextBlock = 0;
  for (const { atMs, made } of journal) {
    const { endpoint, completionTokens } = made.outcome ?? {};
    if (endpoint === null || endpoint === undefined || completionTokens === null || completionTokens === undefined)
      continue;
    const promptTokens = made.outcome?.promptTokens ?? made.promptTokens;
    const wholeBlocks = Math.floor(promptTokens / blockTokens);
    const [holder, cachedTokens] = mostCached(made);
    const shared = sentTo.get(holder)?.findLast((earlier) => earlier.promptTokens >= cachedTokens);
    const blocks = leadingBlocks(shared?.blocks ?? [], Math.min(wholeBlocks, Math.floor(cachedTokens / blockTokens)));
    const own = wholeBlocks - blockCount(blocks);
    appendRun(blocks, nextBlock, own);
    nextBlock += own + 1; // runs of different prompts must not join
    const remembered = sentTo.get(endpoint) ?? [];
    remembered.push({ promptTokens, blocks });
    if (remembered.length > rememberedPrompts) remembered.shift();
    sentTo.set(endpoint, remembered);
    const turn = { thinkMs: 0, promptTokens, outputTokens: completionTokens, blocks, spawns: [] };
    sessions.push({ id: made.id, startMs: atMs, turns: [turn] });
  }
  return sessions;
}

function mostCached({ inputs }: Decision): [endpoint: string, cachedTokens: number] {
  let most: [string, number] = ['', 0];
  for (const [endpoint, { cachedTokens }] of Object.entries(inputs)) {
    if ((cachedTokens ?? 0) > most[1]) most = [endpoint, cachedTokens ?? 0];
  }
  return most;
}
