import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sequence } from '../../../src/fleet/kv-events/sequence.ts';

/** A publisher with a replay buffer, and what a follower makes of it. */
class Follower {
  /** What is known: the payloads applied since the last time that everything was forgotten. */
  known: string[] = [];
  asked: number[] = [];
  readonly sequence: Sequence;

  constructor(canReplay: boolean) {
    this.sequence = new Sequence(canReplay, {
      apply: (payload) => this.known.push(payload.toString()),
      forget: () => (this.known = []),
      replay: (from) => this.asked.push(from),
    });
  }

  live(number: number, text = `${number}`): void {
    this.sequence.live(number, Buffer.from(text));
  }

  /** Answers what was asked last from a buffer of batches that begins with number `oldest`. */
  answer(kept: readonly string[], oldest = 0): void {
    const from = this.asked.pop()!;
    kept.forEach((text, i) => {
      if (oldest + i >= from) this.sequence.replayed(oldest + i, Buffer.from(text));
    });
    this.sequence.replayEnded();
  }
}

test('a late start catches up by replay, and knows everything', () => {
  const follower = new Follower(true);
  follower.sequence.connected();
  assert.deepEqual(follower.asked, [0]);
  follower.live(3); // held back by the socket in truth; the replay brings it
  follower.answer(['0', '1', '2', '3']);
  follower.live(4);
  assert.deepEqual(follower.known, ['0', '1', '2', '3', '4']);
  assert.equal(follower.sequence.completeness, 'complete');
});

test('an engine that has published nothing yet is known in whole', () => {
  const follower = new Follower(true);
  follower.sequence.connected();
  follower.answer([]);
  assert.equal(follower.sequence.completeness, 'complete');
});

test('a gap is filled from the replay', () => {
  const follower = new Follower(true);
  follower.sequence.connected();
  follower.answer(['0']);
  follower.live(3);
  assert.deepEqual(follower.asked, [1]);
  follower.answer(['0', '1', '2', '3']);
  assert.deepEqual(follower.known, ['0', '1', '2', '3']);
  assert.equal(follower.sequence.counts.gaps, 1);
});

test('what the replay no longer has makes what is known partial', () => {
  const follower = new Follower(true);
  follower.sequence.connected();
  follower.answer(['7', '8'], 7);
  assert.equal(follower.sequence.completeness, 'partial');
  assert.deepEqual(follower.known, ['7', '8']);
});

test('after a lost connection the same engine goes on, another one is begun anew', () => {
  const same = new Follower(true);
  same.sequence.connected();
  same.answer(['a', 'b']);
  same.sequence.connected();
  same.answer(['a', 'b', 'c']);
  assert.deepEqual(same.known, ['a', 'b', 'c']);
  assert.equal(same.sequence.counts.restarts, 0);

  for (const second of [[], ['x'], ['x', 'y', 'z'], ['x', 'y', 'z', 'w']]) {
    const other = new Follower(true);
    other.sequence.connected();
    other.answer(['a', 'b']);
    other.sequence.connected();
    other.answer(second);
    assert.deepEqual(other.known, [], 'nothing of the engine before is believed');
    other.answer(second);
    assert.deepEqual(other.known, second);
    assert.equal(other.sequence.completeness, 'complete');
    assert.equal(other.sequence.counts.restarts, 1);
  }
});

test('numbers that go back are another life, with replay or without', () => {
  const follower = new Follower(false);
  follower.sequence.connected();
  for (const number of [0, 1, 2, 0, 1]) follower.live(number, `${number}`);
  assert.deepEqual(follower.known, ['0', '1']);
  assert.equal(follower.sequence.completeness, 'complete');
});

test('the same batch twice counts once', () => {
  const follower = new Follower(false);
  for (const number of [0, 1, 1]) follower.live(number);
  assert.deepEqual(follower.known, ['0', '1']);
});

test('without replay a gap leaves what is known, and says that it is not all', () => {
  const follower = new Follower(false);
  for (const number of [0, 1, 5, 6]) follower.live(number);
  assert.deepEqual(follower.known, ['0', '1', '5', '6']);
  assert.equal(follower.sequence.completeness, 'partial');
});

test('a replay that does not answer does not stop the live events', () => {
  const follower = new Follower(true);
  follower.sequence.connected();
  follower.sequence.replayFailed();
  follower.live(40);
  follower.live(41);
  assert.deepEqual(follower.known, ['40', '41']);
  assert.equal(follower.sequence.completeness, 'partial');
});

test('whatever comes in whatever order, after a replay exactly what was published is known', () => {
  const noise = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('live' as const), number: fc.nat(12), text: fc.constantFrom('', 'odd') }),
      fc.record({ kind: fc.constantFrom('connected' as const, 'failed' as const, 'answer' as const) }),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(noise, fc.nat(12), (steps, published) => {
      const kept = Array.from({ length: published }, (_, i) => `${i}`);
      const follower = new Follower(true);
      follower.sequence.connected();
      for (const step of steps) {
        if (step.kind === 'live') follower.live(step.number, step.text || `${step.number}`);
        else if (step.kind === 'connected') follower.sequence.connected();
        else if (step.kind === 'failed') follower.sequence.replayFailed();
        else if (follower.sequence.isReplaying && follower.asked.length > 0) follower.answer(kept);
      }
      follower.sequence.startOver();
      follower.answer(kept);
      assert.deepEqual(follower.known, kept);
      assert.equal(follower.sequence.completeness, 'complete');
    }),
  );
});
