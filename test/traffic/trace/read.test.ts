import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { after, before, describe, test } from 'node:test';
import { readTrace } from '../../../src/traffic/trace/read.ts';
import { blockCount, blockIds, turnCount } from '../../../src/traffic/trace/trace.ts';
import type { Trace, TraceSession } from '../../../src/traffic/trace/trace.ts';

const sample = (name: string): string => fileURLToPath(new URL(`../../../testdata/traces/${name}`, import.meta.url));
const idsOf = (session: TraceSession, turn: number): number[] => [...blockIds(session.turns[turn]!.blocks)];
const requests = (trace: Trace): number => trace.sessions.reduce((sum, session) => sum + turnCount(session), 0);

describe('formats', () => {
  test('Mooncake toolagent: milliseconds from the first request, blocks of 512', async () => {
    const trace = await readTrace(sample('toolagent.jsonl'));
    assert.deepEqual([trace.format, trace.blockTokens, trace.hasArrivals], ['Mooncake', 512, true]);
    assert.deepEqual(
      trace.sessions.map(({ startMs, turns }) => [startMs, turns[0]!.promptTokens, turns[0]!.outputTokens]),
      [
        [0, 1100, 20],
        [0, 600, 7],
        [6000, 512, 1],
      ],
    );
    assert.deepEqual(idsOf(trace.sessions[1]!, 0), [0, 9]);
  });

  test('Qwen-Bailian: a chat is a session; a second continuation branches off beside it', async () => {
    const trace = await readTrace(sample('qwen-bailian.jsonl'));
    assert.equal(trace.blockTokens, 16);
    assert.deepEqual(
      trace.sessions.map(({ id, startMs, turns }) => [id, startMs, turns.length]),
      [
        ['chat-1', 0, 2],
        ['chat-2', 500, 1],
        ['chat-5', 10_000, 1],
      ],
    );
    const [first] = trace.sessions;
    assert.deepEqual([first!.turns[1]!.promptTokens, first!.turns[1]!.thinkMs], [70, 4000]);
    const [branch] = first!.turns[0]!.spawns;
    assert.deepEqual([branch!.startMs, branch!.turns[0]!.promptTokens, idsOf(branch!, 0)], [6000, 50, [5, 6, 8, 11]]);
  });

  test('Azure 2024: time stamps with a zone and fractions', async () => {
    const trace = await readTrace(sample('azure2024.csv'));
    assert.deepEqual(
      trace.sessions.map(({ startMs, turns }) => [Math.round(startMs), turns[0]!.promptTokens, turns[0]!.outputTokens]),
      [
        [0, 2162, 5],
        [500, 2399, 6],
      ],
    );
  });

  test('BurstGPT without sessions leaves out what failed', async () => {
    const trace = await readTrace(sample('burstgpt.csv'));
    assert.deepEqual(
      trace.sessions.map(({ startMs }) => startMs),
      [0, 40_000, 113_000],
    );
  });

  test('BurstGPT with sessions: think time is what is left of the gap after the answer', async () => {
    const trace = await readTrace(sample('burstgpt-sessions.csv'));
    assert.deepEqual(
      trace.sessions.map(({ id, turns }) => [id, turns.map(({ thinkMs }) => thinkMs)]),
      [
        ['a1', [0, 20_000]],
        ['request-2', [0]],
      ],
    );
  });

  test('agent sessions: blocks chain, tools and system prompt are shared, sub-agents run beside', async () => {
    const trace = await readTrace(sample('agent-sessions.jsonl'));
    assert.deepEqual([trace.blockTokens, trace.hasArrivals, requests(trace)], [64, false, 7]);
    const [one, two, three] = trace.sessions;
    // 160 tokens of tools and system prompt are two whole blocks
    assert.deepEqual(idsOf(one!, 0).slice(0, 2), idsOf(two!, 0).slice(0, 2));
    assert.notEqual(idsOf(one!, 0)[2], idsOf(two!, 0)[2]);
    const others = new Set(idsOf(one!, 0));
    assert.ok(idsOf(three!, 0).every((id) => !others.has(id)));

    assert.deepEqual(idsOf(one!, 1).slice(0, 5), idsOf(one!, 0).slice(0, 5));
    assert.equal(idsOf(one!, 1).length, 7);
    // where the recorder knew no think time, it is the gap since the call before: 20 − (9 + 3)
    assert.deepEqual(
      one!.turns.map(({ thinkMs }) => thinkMs),
      [0, 7000, 8000],
    );
    const [sub] = one!.turns[0]!.spawns;
    assert.deepEqual([sub!.startMs, sub!.turns.length, sub!.turns[1]!.thinkMs], [3000, 2, 2000]);
    assert.deepEqual(idsOf(sub!, 1).slice(0, 3), idsOf(sub!, 0));
  });
});

describe('shipped traces', () => {
  test('mooncake-conversation: 12,031 requests, one block common to all', async () => {
    const trace = await readTrace('mooncake-conversation');
    assert.equal(requests(trace), 12_031);
    assert.equal(Math.round(trace.sessions.at(-1)!.startMs / 1000), 3537);
    assert.equal(new Set(trace.sessions.map((session) => session.turns[0]!.blocks[0])).size, 1);
    for (const { turns } of trace.sessions) {
      assert.equal(blockCount(turns[0]!.blocks), Math.ceil(turns[0]!.promptTokens / 512));
    }
  });

  test('agent-sessions: 355 sessions whose blocks cover their prompts and mostly come again', async () => {
    const trace = await readTrace('agent-sessions');
    assert.equal(trace.sessions.length, 355);
    let promptTokens = 0;
    let knownTokens = 0;
    for (const { turns } of trace.sessions) {
      const known = new Set<number>();
      for (const turn of turns) {
        const ids = [...blockIds(turn.blocks)];
        assert.equal(ids.length, Math.floor(turn.promptTokens / 64));
        promptTokens += turn.promptTokens;
        let leading = 0;
        while (known.has(ids[leading]!)) leading += 1;
        knownTokens += leading * 64;
        for (const id of ids) known.add(id);
      }
    }
    assert.ok(Math.abs(knownTokens / promptTokens - 0.96) < 0.01, `${knownTokens / promptTokens}`);
  });

  test('azure2023-code: 8,819 requests without prefixes', async () => {
    const trace = await readTrace('azure2023-code');
    assert.equal(requests(trace), 8819);
    assert.ok(trace.sessions.every(({ turns }) => turns[0]!.blocks.length === 0));
  });
});

describe('files', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'traces-'))));
  after(() => rm(folder, { recursive: true }));
  const file = async (name: string, content: string | Buffer): Promise<string> => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const good = '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": []}\n';

  test('gzip is told by the content, not the name', async () => {
    assert.equal((await readTrace(await file('plain-name', gzipSync(good)))).sessions.length, 1);
  });

  test('reading stops at maxRequests', async () => {
    const path = await file('long.jsonl', good.repeat(5) + 'not JSON\n');
    assert.equal(requests(await readTrace(path, { maxRequests: 3 })), 3);
  });

  for (const [what, content, message] of [
    ['a field of the wrong kind', good + good.replace('1,', '"x",'), /wrong:2: input_length: /],
    ['a line that is not JSON', `${good}\n{"timestamp": 1,\n`, /wrong:3: is not JSON/],
    ['a negative length', good.replace('1,', '-1,'), /wrong:1: input_length: /],
    [
      'a cell that is no number',
      'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,x,10\n',
      /wrong:2: ContextTokens: "x"/,
    ],
    [
      'a missing cell',
      'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4\n',
      /wrong:2: GeneratedTokens: is missing/,
    ],
    [
      'a date that is none',
      'TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,4,5\n',
      /wrong:2: TIMESTAMP: "yesterday"/,
    ],
    ['another kind of file', 'Dear diary\n', /wrong:1: is not the start of a trace that can be read \(Mooncake, /],
    ['nothing but a header', 'TIMESTAMP,ContextTokens,GeneratedTokens\n', /wrong: holds no requests/],
    ['an empty file', '', /wrong: holds no requests/],
    ['a broken gzip', gzipSync(good.repeat(1000)).subarray(0, 60), /wrong(:\d+)?: cannot be read/],
  ] as const) {
    test(`${what} is an error with its place`, async () => {
      await assert.rejects(readTrace(await file('wrong', content)), { code: 'config_invalid', message });
    });
  }

  test('a name that is neither file nor trace is answered with the names there are', async () => {
    await assert.rejects(readTrace('agent-session'), /agent-sessions, azure2023-code\); did you mean "agent-sessions"/);
    await assert.rejects(readTrace(await mkdtemp(join(folder, 'empty-'))), /holds no requests/);
  });
});
