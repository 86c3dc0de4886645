import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { WorkQueue } from '../../src/controller/queue.ts';

const settle = (): Promise<void> => new Promise((done) => setImmediate(done));

test('a key is at work once, comes again when it was added meanwhile, and is retried later and later', async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  let release: (() => void) | null = null;
  const queue = new WorkQueue(clock, 2, async (key) => {
    seen.push(key);
    if (key === 'slow') await new Promise<void>((done) => (release = done));
    if (key === 'bad' && seen.filter((other) => other === 'bad').length < 3) throw new Error('not yet');
  });
  queue.add('slow');
  queue.add('slow');
  queue.add('slow');
  await settle();
  assert.deepEqual(seen, ['slow']);
  release!();
  await settle();
  assert.deepEqual(seen, ['slow', 'slow']);
  queue.add('bad');
  await settle();
  assert.equal(queue.size, 2);
  const times = [clock.nowMs()];
  for (let tries = 2; tries <= 3; tries++) {
    clock.run(() => true);
    await settle();
    assert.equal(seen.filter((key) => key === 'bad').length, tries);
    times.push(clock.nowMs());
  }
  assert.deepEqual(times, [0, 500, 1500]);
  release!();
  await settle();
  assert.equal(queue.size, 0);
});
