/**
 * What knowing costs: hash and look-up, memory, events, tokens. `npm run bench:prefix`; figures and machine in
 * prefix.md. CPU time of this process where only that matters, wall time where somebody waits.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { assetPath } from '../src/base/assets.ts';
import { hashBlocks } from '../src/base/block-hash.ts';
import { EngineCache } from '../src/fleet/kv-events/engine-cache.ts';
import { EventReader } from '../src/fleet/kv-events/event-reader.ts';
import { PrefixIndex } from '../src/fleet/prefix-index/prefix-index.ts';
import { TokenizerWorker } from '../src/fleet/tokens/tokenizer-worker.ts';
import { root } from '../scripts/lib/source-files.ts';
import { batchOf } from './prefix/batch.ts';
import { starvationBench } from './prefix/starvation.ts';

const seed = { low: 5, high: 9 };
const mebibyte = 2 ** 20;
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

function promptBytes(bytes: number, which: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) {
    buffer.writeUInt32LE((Math.imul(at + 1, 2654435761) ^ Math.imul(which + 1, 40503)) >>> 0, at);
  }
  return buffer;
}

function quantiles(samples: number[]): string {
  samples.sort((a, b) => a - b);
  const at = (share: number): string => samples[Math.floor(share * (samples.length - 1))]!.toFixed(1);
  return `p10 ${at(0.1)}  p50 ${at(0.5)}  p90 ${at(0.9)}`;
}

/** Microseconds to hash a prompt and find every endpoint's longest run, over prompts that all are in the index. */
function lookups(name: string, bytes: number, endpoints: number, prompts: number, fill: Fill): void {
  const index = new PrefixIndex(undefined, endpoints);
  const bodies = Array.from({ length: prompts }, (_, i) => promptBytes(bytes, i));
  bodies.forEach((body, i) => fill(index, hashBlocks(body, seed), i));
  const runs = new Float64Array(endpoints);
  const hash: number[] = [];
  const both: number[] = [];
  for (let round = 0; round < 4000; round++) {
    const body = bodies[round % prompts]!;
    const startMs = performance.now();
    const hashes = hashBlocks(body, seed);
    const hashedMs = performance.now();
    index.longestRuns(hashes, runs);
    const endMs = performance.now();
    if (round < 500) continue;
    hash.push((hashedMs - startMs) * 1000);
    both.push((endMs - startMs) * 1000);
  }
  say(`${name.padEnd(58)} µs  ${quantiles(both)}   (hash alone ${quantiles(hash)})`);
}
type Fill = (index: PrefixIndex, hashes: ReturnType<typeof hashBlocks>, which: number) => void;

function lookUpBench(): void {
  say('hash and look-up');
  lookups('32 KB prompt, 16 endpoints', 32_768, 16, 100, (index, hashes, which) => {
    for (let slot = 0; slot < 16; slot++) if ((which * 7 + slot) % 3 === 0) index.confirm(hashes, slot);
  });
  lookups('32 KB prompt, 1,024 endpoints: half on all, the rest on 8', 32_768, 1024, 100, (index, hashes) => {
    for (let slot = 0; slot < 1024; slot++) index.store(hashes, 256, slot, false);
    for (let slot = 0; slot < 8; slot++) index.store(hashes, 512, slot * 100, false);
  });
  lookups('128k tokens, 64 endpoints', 131_072 * 4, 64, 20, (index, hashes, which) => {
    for (let slot = 0; slot < 64; slot++)
      if ((slot + which) % 5 === 0) index.store(hashes, hashes.low.length, slot, false);
  });
}

/** Bytes a block and endpoint when each block is on one endpoint only, and that memory stays where it is. */
function memoryBench(): void {
  say('\nmemory, every block on one endpoint of 16');
  const index = new PrefixIndex();
  const startRss = process.memoryUsage.rss();
  const distinct = 5_000_000;
  for (let blocks = 0; blocks < distinct;) {
    for (const end = blocks + distinct / 5; blocks < end; blocks += 512) {
      index.confirm(hashBlocks(promptBytes(32_768, blocks), seed), (blocks / 512) % 16);
    }
    const grown = (process.memoryUsage.rss() - startRss) / mebibyte;
    say(
      `approximate: ${(blocks / 1e6).toFixed(1)} million distinct blocks: ${index.blocks} kept, ` +
        `${(index.bytes / mebibyte).toFixed(1)} MiB by the gauge, ${(index.bytes / index.blocks).toFixed(1)} bytes each; RSS +${grown.toFixed(0)} MiB`,
    );
  }
  const precise = new PrefixIndex();
  const caches = Array.from({ length: 16 }, (_, slot) => new EngineCache(precise, slot, seed, 64 * mebibyte));
  const handlers = caches.map((cache) => cache.rank(0));
  const reader = new EventReader();
  for (let batch = 0; batch < 20_000; batch++) reader.read(batchOf(batch, 64), handlers[batch % 16]!);
  const bytes = precise.bytes + caches.reduce((sum, cache) => sum + cache.bytes, 0);
  const blocks = caches.reduce((sum, cache) => sum + cache.blocks, 0);
  say(`precise: ${blocks} blocks, ${(bytes / blocks).toFixed(1)} bytes each, engines' own hashes included`);
}

/** Blocks a second of events on one core, and the longest that others have to wait for their turn. */
async function eventBench(): Promise<void> {
  say('\nKV events');
  for (const blocks of [1, 8, 64]) {
    const payloads = Array.from({ length: Math.ceil(200_000 / blocks) }, (_, i) => batchOf(i, blocks));
    const cache = new EngineCache(new PrefixIndex(), 0, seed, 64 * mebibyte);
    const handler = cache.rank(0);
    const reader = new EventReader();
    const before = process.cpuUsage();
    let done = 0;
    let longestMs = 0;
    // As they come from the network: 64 KiB, then others have their turn.
    for (let at = 0; at < payloads.length;) {
      const startMs = performance.now();
      for (let bytes = 0; at < payloads.length && bytes < 65_536; at++) {
        bytes += payloads[at]!.length;
        reader.read(payloads[at]!, handler);
        done += blocks;
      }
      longestMs = Math.max(longestMs, performance.now() - startMs);
      await turn();
    }
    const { user, system } = process.cpuUsage(before);
    const perSecond = Math.round(done / ((user + system) / 1e6));
    say(
      `${String(blocks).padStart(3)} blocks an event: ${perSecond.toLocaleString('en')} blocks per CPU second; longest turn ${longestMs.toFixed(1)} ms`,
    );
  }
}

/** Milliseconds until a conversation's ids are there, from the thread that asks. */
async function tokenBench(): Promise<void> {
  say('\ntokens');
  const prose = readFileSync(join(root, 'testdata/prompts/agent-prompt.txt'), 'utf8');
  const worker = new TokenizerWorker();
  const folder = assetPath('tokenizer');
  const body = (which: number, chars: number): Buffer => {
    const text = prose.repeat(Math.ceil(chars / prose.length)).slice(0, chars);
    return Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: `${which} ${text}` }] }));
  };
  await worker.encode(folder, 'chat', body(-1, 200)); // it is started, and has read its files
  const chars = 34_000;
  const cold: number[] = [];
  const warm: number[] = [];
  const blocked: number[] = [];
  let tokens = 0;
  for (let which = 0; which < 60; which++) {
    const first = body(which, chars);
    const startMs = performance.now();
    const asked = worker.encode(folder, 'chat', first);
    blocked.push((performance.now() - startMs) * 1000);
    tokens = (await asked).ids!.length;
    cold.push(performance.now() - startMs);
    const next = body(which, chars + 200);
    const nextMs = performance.now();
    await worker.encode(folder, 'chat', next);
    warm.push(performance.now() - nextMs);
  }
  worker.close();
  say(
    `conversation of ${tokens} tokens, first seen: ms ${quantiles(cold)}; its next turn: ms ${quantiles(warm)}; of that on the event loop: µs ${quantiles(blocked)}`,
  );
}

lookUpBench();
memoryBench();
await eventBench();
await starvationBench(say);
await tokenBench();
