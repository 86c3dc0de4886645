import assert from 'node:assert/strict';
import { test } from 'node:test';
import { singleTurns, syntheticBlockTokens, syntheticSessions } from '../../src/traffic/synthetic.ts';
import { blockCount, blockIds } from '../../src/traffic/trace/trace.ts';
import type { TraceSession } from '../../src/traffic/trace/trace.ts';

function take<T>(items: Iterator<T>, count: number): T[] {
  return Array.from({ length: count }, () => items.next().value as T);
}

test('conversations grow turn by turn on one of four shared system prompts', () => {
  const sessions = take<TraceSession>(syntheticSessions(3), 200);
  const systemPrompts = new Set<number>();
  for (const { turns } of sessions) {
    systemPrompts.add(turns[0]!.blocks[0]!);
    let previous: number[] = [];
    for (const turn of turns) {
      const ids = [...blockIds(turn.blocks)];
      assert.deepEqual(ids.slice(0, previous.length), previous);
      assert.equal(blockCount(turn.blocks), Math.floor(turn.promptTokens / syntheticBlockTokens));
      previous = ids;
    }
  }
  assert.equal(systemPrompts.size, 4);
  assert.ok(sessions.some(({ turns }) => turns.length > 3));
});

test('the same seed makes the same sessions', () => {
  assert.deepEqual(take<TraceSession>(syntheticSessions(5), 20), take<TraceSession>(syntheticSessions(5), 20));
  assert.notDeepEqual(take<TraceSession>(syntheticSessions(5), 3), take<TraceSession>(syntheticSessions(6), 3));
});

test('single turns keep each conversation in order and leave none out', () => {
  const sessions = take<TraceSession>(syntheticSessions(1), 12);
  const singles = [...singleTurns(sessions.values(), 5, 1)];
  assert.equal(
    singles.length,
    sessions.reduce((sum, { turns }) => sum + turns.length, 0),
  );
  for (const { id, turns } of sessions) {
    const own = singles.filter((single) => single.id.startsWith(`${id}-`));
    assert.deepEqual(
      own.map((single) => single.turns[0]!.promptTokens),
      turns.map(({ promptTokens }) => promptTokens),
    );
  }
});
