import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

test('tasks run in order of their time, ties in order of asking', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (delays) => {
      const clock = new VirtualClock();
      const ran: { delay: number; index: number }[] = [];
      delays.forEach((delay, index) => {
        clock.after(delay, () => {
          assert.equal(clock.nowMs(), delay);
          ran.push({ delay, index });
        });
      });
      assert.equal(
        clock.run(() => true),
        false,
      );
      const expected = delays
        .map((delay, index) => ({ delay, index }))
        .sort((left, right) => left.delay - right.delay || left.index - right.index);
      assert.deepEqual(ran, expected);
    }),
  );
});

test('a task may ask for another, and a cancelled one does not run', () => {
  const clock = new VirtualClock(1000);
  const ran: string[] = [];
  const cancelled = clock.after(5, () => ran.push('cancelled'));
  clock.after(2, () => {
    ran.push('first');
    cancelled.cancel();
    clock.after(10, () => ran.push('last'));
  });
  clock.run(() => true);
  assert.deepEqual(ran, ['first', 'last']);
  assert.equal(clock.nowMs(), 12);
  assert.equal(clock.epochMs(), 1012);
});

test('a run stops when it is told to, and goes on from there', () => {
  const clock = new VirtualClock();
  let ran = 0;
  for (let delay = 1; delay <= 4; delay += 1) clock.after(delay, () => (ran += 1));
  assert.equal(
    clock.run(() => ran < 2),
    true,
  );
  assert.equal(clock.nowMs(), 2);
  clock.run(() => true);
  assert.equal(ran, 4);
});
