import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMsgpack, type MsgpackValue } from '../../../src/base/msgpack-writer.ts';
import { EventReader, type BlocksEvent } from '../../../src/fleet/kv-events/event-reader.ts';
import { captures, readCapture } from './captured.ts';
import { blockDigest, eventHash, rootDigest } from './vllm-hash.ts';

interface Read {
  kind: 'stored' | 'removed' | 'cleared';
  hashes: bigint[];
  parent: bigint | null;
  tokens: number[];
  blockTokens: number;
  medium: string | null;
  lora: string | null;
  salt: string | null;
  extra: number[];
  group: number | null;
}

const wide = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);

function read(payload: Buffer): Read[] {
  const events: Read[] = [];
  const copy = (kind: Read['kind'], event?: BlocksEvent): void => {
    const count = event?.count ?? 0;
    events.push({
      kind,
      hashes: Array.from({ length: count }, (_, i) => wide(event!.hashLow[i]!, event!.hashHigh[i]!)),
      parent: event?.hasParent === true ? wide(event.parentLow, event.parentHigh) : null,
      tokens: [...(event?.tokens.subarray(0, event.tokenCount) ?? [])],
      blockTokens: event?.blockTokens ?? 0,
      medium: event?.medium ?? null,
      lora: event?.lora ?? null,
      salt: event?.salt ?? null,
      extra: [...(event?.extra.subarray(0, count) ?? [])],
      group: event?.group ?? null,
    });
  };
  new EventReader().read(payload, {
    stored: (event) => copy('stored', event),
    removed: (event) => copy('removed', event),
    cleared: () => copy('cleared'),
  });
  return events;
}

const kinds: Record<string, Read['kind']> = {
  BlockStored: 'stored',
  BlockRemoved: 'removed',
  AllBlocksCleared: 'cleared',
};

for (const capture of captures) {
  test(`every recorded message of a real vLLM is read as another decoder reads it: ${capture}`, () => {
    const messages = readCapture(capture);
    assert.ok(messages.length >= 3);
    for (const { payload, decoded } of messages) {
      const events = read(payload);
      assert.equal(events.length, decoded[1].length);
      events.forEach((event, i) => {
        const expected = decoded[1][i]!;
        assert.equal(event.kind, kinds[expected.type]);
        assert.deepEqual(event.hashes, expected.block_hashes.map(BigInt));
        assert.deepEqual(event.tokens, expected.token_ids ?? []);
        assert.equal(event.blockTokens, expected.block_size ?? 0);
        assert.equal(event.medium, expected.medium ?? null);
        assert.equal(event.lora, expected.lora_name ?? null);
        const parent = expected.parent_block_hash;
        assert.equal(event.parent, parent == null ? null : BigInt(parent));
      });
    }
  });
}

test("tokens, parents, adapters and salts as read make vLLM's own hashes", () => {
  const adapters = new Map([
    ['lora-a', './loraA'],
    ['lora-b', './loraB'],
  ]);
  let agreed = 0;
  for (const [capture, seed] of [
    ['plain', '0'],
    ['lora-salt-eviction', null],
    ['decode-of-pair', '0'],
  ] as const) {
    const digests = new Map<bigint, Buffer>();
    for (const event of readCapture(capture).flatMap(({ payload }) => read(payload))) {
      if (event.kind !== 'stored') continue;
      let parent = event.parent === null ? rootDigest(seed) : digests.get(event.parent);
      assert.ok(parent, 'the parent was stored before');
      const path = event.lora === null ? undefined : adapters.get(event.lora);
      event.hashes.forEach((hash, i) => {
        const keys = [event.lora, event.parent === null && i === 0 ? event.salt : null].filter((key) => key !== null);
        const tokens = event.tokens.slice(i * event.blockTokens, (i + 1) * event.blockTokens);
        const lora = event.lora === null ? null : { name: event.lora, path: path! };
        const own = blockDigest(parent!, tokens, keys.length === 0 ? null : keys, lora);
        assert.equal(hash, eventHash(own));
        agreed += 1;
        digests.set(hash, own);
        parent = own;
      });
    }
  }
  assert.ok(agreed > 300, `${agreed} hashes`);
});

const batch = (...events: MsgpackValue[]): Buffer => encodeMsgpack([1.5, events, 0]);

test('events as arrays, as older engines send them, with as many fields as they know', () => {
  const [first, second, third, fourth] = read(
    batch(
      ['BlockStored', [7n], null, [1, 2], 2, 3],
      ['BlockStored', [8n], 7n, [3, 4], 2, null, 'GPU', 'mine', [['mine']], 0, 'full_attention', null],
      ['BlockRemoved', [8n]],
      ['BlockRemoved', [7n], 'CPU', 1],
    ),
  );
  assert.deepEqual([first!.hashes, first!.tokens, first!.lora], [[7n], [1, 2], '#3']);
  assert.deepEqual([second!.parent, second!.medium, second!.lora, second!.salt], [7n, 'GPU', 'mine', null]);
  assert.deepEqual([third!.kind, third!.hashes, third!.medium], ['removed', [8n], null]);
  assert.deepEqual([fourth!.medium, fourth!.group], ['CPU', 1]);
  assert.equal(read(encodeMsgpack([1, [['AllBlocksCleared']]]))[0]!.kind, 'cleared');
});

test('hashes keep all 64 bits: unsigned, signed, of any width, or as whole digests', () => {
  const values = [0n, 127n, 128n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 64n - 1n, -1n, -33n, -(2n ** 63n)];
  const [event] = read(batch({ type: 'BlockRemoved', block_hashes: values }));
  assert.deepEqual(
    event!.hashes,
    values.map((value) => BigInt.asUintN(64, value)),
  );
  const digest = Buffer.alloc(32, 1);
  digest.writeBigUInt64BE(2n ** 63n + 5n, 24);
  assert.deepEqual(read(batch({ type: 'BlockRemoved', block_hashes: [digest] }))[0]!.hashes, [2n ** 63n + 5n]);
});

test("SGLang's: signed hashes, a salt of its own, tiers by other names", () => {
  const [event] = read(
    batch({
      type: 'BlockStored',
      block_hashes: [-5n],
      parent_block_hash: null,
      token_ids: [9],
      block_size: 1,
      lora_id: null,
      medium: 'CPU_PINNED',
      cache_salt: 'tenant',
    }),
  );
  assert.deepEqual([event!.hashes, event!.salt, event!.medium], [[BigInt.asUintN(64, -5n)], 'tenant', 'CPU_PINNED']);
});

test('images are part of a block, wherever they lie in it, and are no salt', () => {
  const stored = (keys: MsgpackValue): Read =>
    read(
      batch({
        type: 'BlockStored',
        block_hashes: [1n, 2n],
        parent_block_hash: null,
        token_ids: [1, 2, 3, 4],
        block_size: 2,
        extra_keys: keys,
      }),
    )[0]!;
  const one = stored([['salt', ['image-a', 0]], null]);
  const other = stored([['salt', ['image-b', 0]], null]);
  const shifted = stored([['salt', ['image-a', -1]], null]);
  assert.equal(one.salt, 'salt');
  assert.equal(one.extra[1], 0);
  assert.equal(new Set([one, other, shifted].map(({ extra }) => extra[0])).size, 3);
  assert.deepEqual(stored([['image-of-an-older-release'], null]).salt, 'image-of-an-older-release');
});
