import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { decisionJson } from '../../src/journal/decision-json.ts';
import { Journal } from '../../src/journal/journal.ts';
import { prefixKeyOfBlocks } from '../../src/replay/blocks.ts';
import { runScenario } from '../../src/replay/scenario.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import { readTrace } from '../../src/traffic/trace/read.ts';
import { blockCount } from '../../src/traffic/trace/trace.ts';
import { scenarioOf } from '../support/scenario.ts';

const folder = mkdtempSync(join(tmpdir(), 'journal-'));
after(() => rmSync(folder, { recursive: true }));
const lines = join(folder, 'decisions.jsonl');
const array = join(folder, 'decisions.json');
const startMs = Date.UTC(2026, 7, 4, 9);

/** A gateway's morning: two models, a request a second, each prompt the same 40 blocks of 64 tokens and 10 of its own. */
before(() => {
  const clock = new VirtualClock(startMs);
  const fleet = new Fleet({ prefixSeed: { low: 0, high: 0 } });
  for (const name of ['a', 'b'])
    fleet.setModels(fleet.add({ name, address: `${name}:1`, labels: {} }), [{ id: 'small' }, { id: 'large' }]);
  const journal = new Journal();
  const policy = presetPolicy('least-added-wait');
  const dispatch = new Dispatch({ clock, random: seededRandom(1), fleet, journal, policy });
  for (let number = 0; number < 100; number++) {
    clock.after(number * 1000, () => {
      const hashes = Float64Array.from({ length: 50 }, (_, block) => (block < 40 ? block + 1 : number * 100 + block));
      dispatch.place(
        {
          requestId: `${number}`,
          model: number % 4 === 0 ? 'large' : 'small',
          kind: 'completions',
          streaming: true,
          promptTokens: 3200,
          maxOutputTokens: null,
          sessionEndpoint: null,
          headers: {},
        },
        prefixKeyOfBlocks(hashes, 3200, 64),
        {
          placed: (flight) => {
            clock.after(300, () => flight.firstToken(200));
            clock.after(900, () =>
              flight.finish({
                status: 200,
                complete: true,
                promptTokens: 3200,
                cachedTokens: 2560,
                completionTokens: 40,
              }),
            );
          },
          refused: (error) => assert.fail(error.message),
        },
      );
    });
  }
  clock.run(() => true);
  const decisions = journal.latest(1000).map(decisionJson);
  writeFileSync(lines, decisions.map((decision) => JSON.stringify(decision)).join('\n'));
  writeFileSync(array, JSON.stringify(decisions));
});

test("a gateway's Decisions are a trace: when, how long, and how much came again", async () => {
  const trace = await readTrace(lines);
  assert.equal(trace.format, 'Decisions');
  assert.equal(trace.sessions.length, 100);
  assert.deepEqual(
    trace.sessions.map((session) => session.startMs),
    Array.from({ length: 100 }, (_, number) => number * 1000),
  );
  const [first, second] = trace.sessions.map(({ turns }) => turns[0]!);
  assert.deepEqual([first!.promptTokens, first!.outputTokens, blockCount(first!.blocks)], [3200, 40, 50]);
  assert.deepEqual(second!.blocks.slice(0, 2), [first!.blocks[0], 40]);
  assert.deepEqual(trace.sessions, (await readTrace(array)).sessions);
});

test('in part: from and before a time, and one model', async () => {
  const part = { afterMs: startMs + 20_000, beforeMs: startMs + 60_000, model: 'large' };
  assert.equal((await readTrace(lines, { part })).sessions.length, 10);
  await assert.rejects(readTrace('azure2023-code', { part }), /only a journal of Decisions/);
  await assert.rejects(readTrace(lines, { part: { ...part, model: 'none' } }), /holds no requests/);
});

test('what another policy would have done', async () => {
  const scenario = scenarioOf(lines, 2);
  const { result } = runScenario(scenario, await readTrace(lines), 'round-robin');
  assert.equal(result.completed, 100);
  assert.ok(result.cachedShare > 0.75 && result.cachedShare <= 0.8, `${result.cachedShare}`);
});
