import { seededRandom } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { appendRun } from './trace/trace.ts';
import type { TraceSession, TraceTurn } from './trace/trace.ts';

/** Tokens of a prefix block of the sessions made here. */
export const syntheticBlockTokens = 16;

const systemPrompts = 4;
const systemPromptTokens = 1024;
const meanMessageTokens = 120;
const meanAnswerTokens = 120;
const meanTurns = 5;
const meanThinkMs = 2000;

/**
 * People who talk to one of four assistants: a long system prompt shared with others, then messages and answers that
 * grow turn by turn. Endless; the same seed gives the same sessions.
 */
export function* syntheticSessions(seed: number): Generator<TraceSession, never> {
  const random = seededRandom(seed);
  const systemBlocks = systemPromptTokens / syntheticBlockTokens;
  let nextBlock = systemPrompts * systemBlocks;
  for (let number = 1; ; number++) {
    const blocks: number[] = [];
    appendRun(blocks, random.below(systemPrompts) * systemBlocks, systemBlocks);
    let promptTokens = systemPromptTokens;
    let covered = systemBlocks;
    const turns: TraceTurn[] = [];
    do {
      promptTokens += about(random, meanMessageTokens);
      const whole = Math.floor(promptTokens / syntheticBlockTokens);
      appendRun(blocks, nextBlock, whole - covered);
      nextBlock += whole - covered;
      covered = whole;
      const outputTokens = about(random, meanAnswerTokens);
      const thinkMs = turns.length === 0 ? 0 : exponential(random, meanThinkMs);
      turns.push({ thinkMs, promptTokens, outputTokens, blocks: [...blocks], spawns: [] });
      promptTokens += outputTokens;
    } while (random.next() < 1 - 1 / meanTurns);
    yield { id: `user-${number}`, startMs: 0, turns };
  }
}

/**
 * The turns of many sessions in the order in which an outside world would send them, each on its own: for arrivals at
 * a rate, where nobody waits for an answer. `open` sessions take turns at random.
 */
export function* singleTurns(sessions: Iterator<TraceSession>, open: number, seed: number): Generator<TraceSession> {
  const random = seededRandom(seed);
  const waiting: { session: TraceSession; turn: number }[] = [];
  for (;;) {
    while (waiting.length < open) {
      const next = sessions.next();
      if (next.done === true) break;
      waiting.push({ session: next.value, turn: 0 });
    }
    const index = random.below(waiting.length);
    const chosen = waiting[index];
    if (chosen === undefined) return;
    const turn = chosen.session.turns[chosen.turn]!;
    yield { id: `${chosen.session.id}-${chosen.turn + 1}`, startMs: 0, turns: [{ ...turn, thinkMs: 0 }] };
    chosen.turn += 1;
    if (chosen.turn === chosen.session.turns.length) waiting.splice(index, 1);
  }
}

/** A positive whole number, exponentially distributed. */
function about(random: Random, mean: number): number {
  return Math.max(1, Math.round(exponential(random, mean)));
}

/** Source: inversion of the exponential distribution function. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean;
}
