import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { SharedRows } from '../../src/base/shared-rows.ts';

const module = new URL('../../src/base/shared-rows.ts', import.meta.url).href;
/** Writes rows whose numbers are all one, as fast as it can. */
const writer = `
  const { workerData } = require('node:worker_threads');
  import(workerData.module).then(({ SharedRows }) => {
    const rows = new SharedRows(workerData.memory, workerData.row);
    for (let number = 1; ; number++) rows.write(0, [number, number, number, number]);
  });
`;

test('what is read of a row belongs together while others write', async (t) => {
  const memory = SharedRows.memory(3, 2, 4);
  const workers = [1, 2].map((row) => new Worker(writer, { eval: true, workerData: { module, memory, row } }));
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const rows = new SharedRows(memory, 0);
  const last = [0, 0];
  const seen = [new Set<number>(), new Set<number>()];
  while (seen.some(({ size }) => size < 1000)) {
    for (let look = 0; look < 1000; look++) {
      let other = 0;
      rows.readOthers(0, (numbers) => {
        const [first] = numbers;
        assert.deepEqual([...numbers], Array(4).fill(first));
        assert.ok(first! >= last[other]!, 'an older row came after a newer one');
        last[other] = first!;
        seen[other++]!.add(first!);
      });
    }
    await setImmediate();
  }
});

test('changes are told by place, and a row that is cleared is nothing', () => {
  const memory = SharedRows.memory(2, 3, 2);
  const [mine, theirs] = [new SharedRows(memory, 0), new SharedRows(memory, 1)];
  const sums = (): number[][] =>
    [0, 1, 2].map((place) => {
      let read: number[] = [];
      mine.readOthers(place, (numbers) => (read = [...numbers]));
      return read;
    });
  const before = [0, 1, 2].map((place) => mine.changesAt(place));
  assert.equal(theirs.write(1, [5, 7]), before[1]);
  assert.deepEqual(
    [0, 1, 2].map((place) => mine.changesAt(place) - before[place]!),
    [0, 1, 0],
  );
  assert.deepEqual(sums(), [
    [0, 0],
    [5, 7],
    [0, 0],
  ]);
  const written = mine.changesAt(1);
  mine.clear(1);
  assert.deepEqual(sums(), [
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  assert.notEqual(mine.changesAt(1), written);
  theirs.write(1, [1, 2]);
  assert.deepEqual(sums()[1], [1, 2]);
});
