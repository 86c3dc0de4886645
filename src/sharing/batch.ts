import { z } from 'zod';
import type { BlockHashes } from '../base/block-hash.ts';
import type { Failure } from '../fleet/health.ts';

const count = z.number().min(0);
const failures = [
  'connect',
  'reset',
  'timeout',
  'server-error',
  'unresponsive',
  'unhealthy',
] as const satisfies Failure[];

/** A request's own facts and where it went: whoever reads it can say where it would have sent it. */
const question = z.object({
  model: z.string(),
  kind: z.enum(['completions', 'chat', 'embeddings', 'other']),
  streaming: z.boolean(),
  promptTokens: count,
  maxOutputTokens: count.nullable(),
  splittable: z.boolean(),
  promptBytes: count,
  seed: count,
  picked: z.string(),
  blocks: count,
});

const schema = z.object({
  version: z.literal(2),
  from: z.string(),
  /** What tells the secret start of its block hashes from others: those of another start mean nothing here. */
  start: z.string(),
  /** Milliseconds since the epoch, by the clock of whoever tells. Other times are told as so many before it. */
  atMs: count,
  /** For one replica alone; for all when absent. */
  to: z.string().optional(),
  /** It has just begun and knows nothing: who is asked tells it what is cached where. */
  hello: z.literal(true).optional(),
  /** It ends in good order. */
  bye: z.literal(true).optional(),
  /** What is not listed in `endpoints` is nothing. */
  full: z.boolean().default(false),
  /**
   * What it has on its way to each: requests, prefill in tokens and at reference speed, context; its oldest prompt that is
   * not computed and its age; how long ago one was computed last.
   */
  endpoints: z.array(z.tuple([z.string(), count, count, count, count, count, count, count])).default([]),
  /** Prompts that were seen to be computed: endpoint, cost at reference speed, how long ago begun and done. */
  prefilled: z.array(z.tuple([z.string(), count, count, count])).default([]),
  /** Endpoints that it has taken out, and why. */
  out: z.array(z.tuple([z.string(), z.enum(failures)])).default([]),
  /** Tokens of service by priority and fairness id. */
  charges: z.array(z.tuple([z.number(), z.string(), z.number()])).default([]),
  /** Of keys: requests and tokens of the last minute, requests under way. */
  keys: z.array(z.tuple([z.string(), z.number(), z.number(), z.number()])).default([]),
  /** Blocks that were sent somewhere: endpoint, tokens of a block, how many. Their hashes follow in `blocks`. */
  sent: z.array(z.tuple([z.string(), count, count])).default([]),
  /** Blocks that were not computed there after all. */
  withdrawn: z.array(z.tuple([z.string(), count])).default([]),
  question: question.optional(),
});

/** What one replica tells the others. */
export type Batch = z.infer<typeof schema>;
export type Question = z.infer<typeof question>;
/** As it is written: without what is empty. */
type BatchText = z.input<typeof schema>;
/** What there is to tell, without who tells it. */
export type News = Omit<BatchText, 'version' | 'from' | 'start' | 'atMs'>;

/** Block hashes one after another: of `sent`, then of `withdrawn`, then of `question`. */
export class Blocks {
  readonly #words: Uint32Array;
  #at = 0;

  /** @throws RangeError where it is cut short */
  constructor(bytes: Buffer) {
    if (bytes.length % 8 !== 0) throw new RangeError('block hashes that are cut short');
    this.#words = new Uint32Array(Uint8Array.from(bytes).buffer);
  }

  /** The next `blocks`. @throws RangeError where there are fewer */
  take(blocks: number): BlockHashes {
    const end = this.#at + 2 * blocks;
    if (end > this.#words.length) throw new RangeError('fewer block hashes than were announced');
    const low = this.#words.subarray(this.#at, this.#at + blocks);
    const high = this.#words.subarray(this.#at + blocks, end);
    this.#at = end;
    return { low, high };
  }
}

export function encodeBlocks(hashes: readonly BlockHashes[]): Buffer {
  const words = new Uint32Array(hashes.reduce((sum, { low }) => sum + 2 * low.length, 0));
  let at = 0;
  for (const { low, high } of hashes) {
    words.set(low, at);
    words.set(high, at + low.length);
    at += 2 * low.length;
  }
  return Buffer.from(words.buffer);
}

/** Null for what is no batch: of another version, or by somebody else. */
export function parseBatch(text: string): Batch | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
