import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Dispatch } from '../../src/dispatch/dispatch.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { Journal } from '../../src/journal/journal.ts';
import { presetPolicy } from '../../src/scheduler/presets.ts';
import type { LinkHandlers } from '../../src/sharing/link.ts';
import { Sharing } from '../../src/sharing/sharing.ts';

/** Replicas on one clock with a way between them that takes no time; what they write is kept. */
function replicasOn(clock: VirtualClock, count: number) {
  const readers: LinkHandlers[] = [];
  const written: { readonly atMs: number; readonly batch: Buffer }[] = [];
  let log = '';
  const tell = (batch: Buffer): void => readers.forEach((reader) => reader.read(batch));
  const replicas = Array.from({ length: count }, (_, rank) => {
    const fleet = new Fleet({ prefixSeed: { low: 1, high: 2 } });
    const slot = fleet.add({ name: 'endpoint', address: 'endpoint:8000', labels: {} });
    fleet.setModels(slot, [{ id: 'model' }]);
    const [random, journal, policy] = [seededRandom(rank), new Journal(64 * 1024), presetPolicy('least-added-wait')];
    const dispatch = new Dispatch({ clock, random, fleet, journal, policy });
    const sharing = new Sharing({
      connect: (handlers) => {
        readers.push(handlers);
        clock.after(0, () => handlers.up());
        const write = (batch: Buffer): void => {
          written.push({ atMs: clock.nowMs(), batch });
          clock.after(0, () => tell(batch));
        };
        return { isUp: true, isBusy: false, reason: '', write, close: () => Promise.resolve() };
      },
      ...{ name: 'replica', instance: String(rank), dispatch, keys: null, clock },
      log: createLogger('test', { write: (line: string) => void (log += line) }),
    });
    return { fleet, dispatch, sharing };
  });
  const run = (ms: number): void => {
    const untilMs = clock.nowMs() + ms;
    let isOver = false;
    clock.after(ms, () => (isOver = true));
    clock.run(() => !isOver);
    assert.ok(clock.nowMs() >= untilMs);
  };
  return { replicas, written, tell, run, log: () => log };
}

function place(dispatch: Dispatch, id: number): void {
  const hashes = { low: Uint32Array.of(id, id + 1), high: Uint32Array.of(7, 8) };
  const request = { requestId: `${id}`, model: 'model', kind: 'chat', streaming: true, promptTokens: 32 } as const;
  dispatch.place(
    { ...request, maxOutputTokens: null, sessionEndpoint: null, headers: {} },
    { hashes, promptBytes: 128 },
    { placed: () => undefined, refused: assert.fail },
  );
}

test('replicas of an older version are refused: said once in the log, and where one asks while they are there', () => {
  const { replicas, tell, run, log } = replicasOn(new VirtualClock(), 2);
  run(1000);
  const { sharing } = replicas[0]!;
  assert.equal(sharing.problem, null);
  for (let time = 0; time < 3; time++) {
    tell(Buffer.from('{"version":2,"from":"older-1","start":"0","atMs":1,"full":true}'));
    run(500);
  }
  assert.match(sharing.problem!, /another version/);
  assert.equal(log().match(/another version/g)?.length, replicas.length, log());
  run(5000);
  assert.equal(sharing.problem, null);
  assert.deepEqual(sharing.peers, ['replica-1']);
});

test('what happens after a quiet while is told at once; where much happens there are few batches', () => {
  const clock = new VirtualClock();
  const { replicas, written, run } = replicasOn(clock, 2);
  run(2000);
  const [first, second] = replicas;
  place(first!.dispatch, 1);
  const placedAtMs = clock.nowMs();
  run(10);
  assert.ok(written.at(-1)!.atMs - placedAtMs <= 5);
  assert.equal(second!.fleet.ledger.inFlight[0], 1);
  run(1000);
  written.length = 0;
  for (let id = 10; id < 1010; id++) {
    place(first!.dispatch, 2 * id);
    run(1);
  }
  // Two of both that say all there is, and questions with what was known before them.
  assert.ok(written.length <= 35, `${written.length} batches in a second`);
  run(100);
  assert.ok(first!.fleet.ledger.inFlight[0]! > 10);
  assert.equal(second!.fleet.ledger.inFlight[0], first!.fleet.ledger.inFlight[0]);
});

test('an idle replica tells nothing but that it is there', () => {
  const { written, run } = replicasOn(new VirtualClock(), 1);
  run(1000);
  written.length = 0;
  run(10_000);
  assert.ok(written.length <= 20, `${written.length} batches`);
});
