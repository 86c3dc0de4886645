import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MsgpackError } from '../../../src/base/msgpack-reader.ts';
import { encodeMsgpack, type MsgpackValue } from '../../../src/base/msgpack-writer.ts';
import { EngineCache } from '../../../src/fleet/kv-events/engine-cache.ts';
import { EventReader, type EventHandler } from '../../../src/fleet/kv-events/event-reader.ts';
import { PrefixIndex } from '../../../src/fleet/prefix-index/prefix-index.ts';
import { tokenKeyOf } from '../../../src/fleet/prefix-index/prefix-key.ts';
import { captures, readCapture } from './captured.ts';

const seed = { low: 3, high: 4 };
const limitBytes = 1024 * 1024;

function cacheAt(index: PrefixIndex, slot: number): { cache: EngineCache; handler: EventHandler } {
  const cache = new EngineCache(index, slot, seed, limitBytes);
  return { cache, handler: cache.rank(0) };
}

function runOf(
  index: PrefixIndex,
  slot: number,
  tokens: readonly number[],
  blockTokens: number,
  { lora = null, salt = null }: { lora?: string | null; salt?: string | null } = {},
): { run: number; slower: number } {
  const key = tokenKeyOf({ bytes: new Uint8Array(Uint32Array.from(tokens).buffer), media: [] }, lora, salt, seed);
  const runs = new Float64Array(slot + 1);
  const slower = new Float64Array(slot + 1);
  index.longestRuns(key.tokens!.inBlocksOf(blockTokens), runs, slower);
  return { run: runs[slot]!, slower: slower[slot]! };
}

const tokens = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const tell = (handler: EventHandler, ...events: MsgpackValue[]): void =>
  new EventReader().read(encodeMsgpack([0.5, events, 0]), handler);

interface Stored {
  hashes: bigint[];
  parent?: bigint | null;
  tokens: number[];
  size?: number;
  medium?: string;
  more?: Record<string, MsgpackValue>;
}
const stored = ({ hashes, parent = null, tokens: ids, size = 4, medium = 'GPU', more = {} }: Stored): MsgpackValue => ({
  type: 'BlockStored',
  block_hashes: hashes,
  parent_block_hash: parent,
  token_ids: ids,
  block_size: size,
  lora_id: null,
  medium,
  ...more,
});
const removed = (hashes: bigint[], medium = 'GPU'): MsgpackValue => ({
  type: 'BlockRemoved',
  block_hashes: hashes,
  medium,
});

for (const capture of captures) {
  test(`what a real vLLM stored can be found by its tokens: ${capture}`, () => {
    const index = new PrefixIndex();
    const { cache, handler } = cacheAt(index, 2);
    const reader = new EventReader();
    for (const { payload } of readCapture(capture)) reader.read(payload, handler);
    assert.equal(cache.counts.orphaned, 0);
    assert.ok(cache.counts.stored > 0);
    // The last prompt that began anew is still there, in the same blocks, salt and adapter included.
    const events = readCapture(capture).flatMap(({ decoded }) => decoded[1]);
    const last = events.findLast((event) => event.type === 'BlockStored' && event.parent_block_hash === null)!;
    const salt = last.extra_keys?.[0]?.find((key) => key !== last.lora_name) ?? null;
    const adapter = { lora: last.lora_name ?? null, salt };
    assert.equal(runOf(index, 2, last.token_ids, last.block_size, adapter).run, last.block_hashes.length);
    assert.equal(runOf(index, 2, last.token_ids, last.block_size, { lora: 'another' }).run, 0);
    assert.equal(runOf(index, 2, last.token_ids, last.block_size, { salt: 'another' }).run, 0);
  });
}

test('chains go on from their parents, whatever the block size; removed blocks end the run', () => {
  const index = new PrefixIndex();
  for (const [slot, size] of [
    [0, 4],
    [1, 8],
  ] as const) {
    const { handler } = cacheAt(index, slot);
    const perEvent = 16 / size;
    const names = (from: bigint): bigint[] => Array.from({ length: perEvent }, (_, i) => from + BigInt(i));
    tell(handler, stored({ hashes: names(100n), tokens: tokens(0, 16), size }));
    const parent = 99n + BigInt(perEvent);
    tell(handler, stored({ hashes: names(200n), parent, tokens: tokens(16, 16), size }));
    assert.equal(runOf(index, slot, tokens(0, 40), size).run, 32 / size);
    tell(handler, removed([200n]));
    assert.equal(runOf(index, slot, tokens(0, 40), size).run, 16 / size);
  }
  assert.equal(runOf(index, 0, tokens(0, 40), 8).run, 0);
});

test('a block counts until its last copy has gone, and in a slower tier for less', () => {
  const index = new PrefixIndex();
  const { handler } = cacheAt(index, 0);
  const block = stored({ hashes: [1n], tokens: tokens(0, 4) });
  tell(handler, block, block);
  tell(handler, removed([1n]));
  assert.deepEqual(runOf(index, 0, tokens(0, 4), 4), { run: 1, slower: 0 });
  // Offloaded: only its name and where it is.
  tell(handler, stored({ hashes: [1n], tokens: [], size: 0, medium: 'CPU' }));
  tell(handler, removed([1n]));
  assert.deepEqual(runOf(index, 0, tokens(0, 4), 4), { run: 1, slower: 1 });
  tell(handler, removed([1n], 'CPU'));
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 0);
});

test('blocks of groups that decide nothing, with unknown parents or of masked layers are left out', () => {
  const index = new PrefixIndex();
  const { cache, handler } = cacheAt(index, 0);
  const window = { group_idx: 0, kv_cache_spec_kind: 'sliding_window' };
  const full = { group_idx: 1, kv_cache_spec_kind: 'full_attention' };
  tell(handler, stored({ hashes: [1n], tokens: tokens(0, 4), more: window }));
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 0);
  tell(handler, stored({ hashes: [1n], tokens: tokens(0, 4), more: full }));
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 1);
  tell(handler, { type: 'BlockRemoved', block_hashes: [1n], medium: 'GPU', group_idx: 0 });
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 1);
  tell(handler, stored({ hashes: [2n], parent: 77n, tokens: tokens(4, 4), more: full }));
  tell(handler, stored({ hashes: [3n], parent: 1n, tokens: tokens(4, 8), more: full }));
  assert.equal(runOf(index, 0, tokens(0, 12), 4).run, 1);
  assert.equal(cache.counts.orphaned, 1);
});

test('ranks behind one address share a slot: a block is there while any of them has it', () => {
  const index = new PrefixIndex();
  const cache = new EngineCache(index, 0, seed, limitBytes);
  const [first, second] = [cache.rank(0), cache.rank(1)];
  const block = stored({ hashes: [1n], tokens: tokens(0, 4) });
  tell(first, block);
  tell(second, block);
  tell(first, removed([1n]));
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 1);
  tell(first, block);
  tell(first, { type: 'AllBlocksCleared' });
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 1);
  tell(second, { type: 'AllBlocksCleared' });
  assert.equal(runOf(index, 0, tokens(0, 4), 4).run, 0);
});

test('memory stays within its bounds, whatever an engine claims to have', () => {
  const index = new PrefixIndex(256 * 1024);
  const cache = new EngineCache(index, 0, seed, 64 * 1024);
  const handler = cache.rank(0);
  for (let i = 0; i < 20_000; i++) tell(handler, stored({ hashes: [BigInt(i)], tokens: tokens(i * 4, 4) }));
  assert.ok(cache.bytes <= 64 * 1024, `${cache.bytes}`);
  assert.ok(index.bytes <= 256 * 1024);
  assert.equal(runOf(index, 0, tokens(19_999 * 4, 4), 4).run, 1);
});

/** Engine hash → tokens of a whole prefix, as a plain model of a cache of one-token blocks. */
test('agrees with a plain model of stores, copies and removals', () => {
  const step = fc.record({
    kind: fc.constantFrom('store' as const, 'store' as const, 'remove' as const),
    path: fc.array(fc.constantFrom(1, 2), { minLength: 1, maxLength: 4 }),
    medium: fc.constantFrom('GPU', 'CPU'),
  });
  const nameOf = (path: readonly number[]): bigint => BigInt(`1${path.join('')}`);
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(fc.constantFrom(1, 2), { maxLength: 5 }),
      (steps, asked) => {
        const index = new PrefixIndex();
        const { handler } = cacheAt(index, 0);
        const copies = new Map<string, { GPU: number; CPU: number }>();
        const isThere = (path: readonly number[]): boolean => copies.has(path.join());
        for (const { kind, path, medium } of steps) {
          const parent = path.slice(0, -1);
          if (kind === 'store') {
            if (parent.length > 0 && !isThere(parent)) continue;
            const before = copies.get(path.join()) ?? { GPU: 0, CPU: 0 };
            before[medium as 'GPU' | 'CPU'] += 1;
            copies.set(path.join(), before);
            const event = { hashes: [nameOf(path)], tokens: path.slice(-1), size: 1, medium };
            tell(handler, stored({ ...event, parent: parent.length > 0 ? nameOf(parent) : null }));
          } else {
            tell(handler, removed([nameOf(path)], medium));
            const left = copies.get(path.join());
            if (left === undefined) continue;
            left[medium as 'GPU' | 'CPU'] = Math.max(0, left[medium as 'GPU' | 'CPU'] - 1);
            if (left.GPU + left.CPU === 0) copies.delete(path.join());
          }
        }
        let run = 0;
        let slower = 0;
        for (; run < asked.length; run++) {
          const there = copies.get(asked.slice(0, run + 1).join());
          if (there === undefined) break;
          if (there.GPU === 0) slower += 1;
        }
        assert.deepEqual(runOf(index, 0, asked, 1), { run, slower });
      },
    ),
  );
});

test('noise of every kind neither throws nor grows, and a cleared cache begins anew', () => {
  const real = captures.flatMap((name) => readCapture(name).map(({ payload }) => payload));
  const index = new PrefixIndex(512 * 1024);
  const cache = new EngineCache(index, 0, seed, 128 * 1024);
  const handler = cache.rank(0);
  const reader = new EventReader();
  const feed = (payload: Buffer): void => {
    try {
      reader.read(payload, handler);
    } catch (error) {
      assert.ok(error instanceof MsgpackError, String(error));
    }
  };
  const mutation = fc.oneof(
    fc.constant((payload: Buffer) => payload),
    fc.nat(4000).map((at) => (payload: Buffer) => payload.subarray(0, at % payload.length)),
    fc.tuple(fc.nat(4000), fc.integer({ min: 0, max: 255 })).map(([at, value]) => (payload: Buffer) => {
      const changed = Buffer.from(payload);
      changed[at % changed.length] = value;
      return changed;
    }),
    fc.nat(4000).map((at) => (payload: Buffer) => {
      // a length of four thousand million
      const changed = Buffer.from(payload);
      const where = at % changed.length;
      Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]).copy(changed, where);
      return changed;
    }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => () => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(real.length - 1), mutation), { maxLength: 30 }), (steps) => {
      for (const [which, mutate] of steps) feed(mutate(real[which]!));
      assert.ok(cache.bytes <= 128 * 1024 && index.bytes <= 512 * 1024);
    }),
    { numRuns: 400 },
  );
  cache.forget(0);
  for (const { payload } of readCapture('plain')) reader.read(payload, handler);
  const fresh = new PrefixIndex();
  const { handler: clean } = cacheAt(fresh, 0);
  for (const { payload } of readCapture('plain')) reader.read(payload, clean);
  for (const { decoded } of readCapture('plain')) {
    for (const event of decoded[1]) {
      if (event.type !== 'BlockStored' || event.parent_block_hash !== null) continue;
      assert.deepEqual(
        runOf(index, 0, event.token_ids, event.block_size),
        runOf(fresh, 0, event.token_ids, event.block_size),
      );
    }
  }
});
