import { z } from 'zod';
import { SignalboxError } from '../../base/errors.ts';
import { encodeMsgpack, type MsgpackValue } from '../../base/msgpack-writer.ts';
import type { BlockListener } from '../model/kv-cache.ts';

/** vLLM's `--kv-events-config`, with its defaults. */
const configSchema = z.strictObject({
  enable_kv_cache_events: z.boolean().default(false),
  publisher: z.enum(['zmq', 'null']).default('zmq'),
  endpoint: z.string().default('tcp://*:5557'),
  replay_endpoint: z.string().nullable().default(null),
  buffer_steps: z.int().min(0).default(10_000),
  hwm: z.int().min(0).default(100_000),
  max_queue_size: z.int().min(0).default(100_000),
  topic: z.string().default(''),
});

export type KvEventsConfig = z.infer<typeof configSchema>;

/** As a map per event (vLLM from 0.24, SGLang) or an array that begins with its type (older ones). */
export type KvEventsFormat = 'map' | 'array';

/** Reads the flag's JSON. @throws SignalboxError `usage` that says what is wrong. */
export function parseKvEventsConfig(text: string): KvEventsConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SignalboxError('usage', `--kv-events-config: not JSON: ${text}`);
  }
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SignalboxError('usage', `--kv-events-config: ${issue!.path.join('.')}: ${issue!.message}`);
}

/** Where a data-parallel rank publishes: at the configured port + rank; a free port is a free one for each. */
export function ofRank(config: KvEventsConfig, rank: number): KvEventsConfig {
  const moved = (address: string): string =>
    address.replace(/:([1-9]\d*)$/, (_, port: string) => `:${Number(port) + rank}`);
  const { endpoint, replay_endpoint: replay } = config;
  return { ...config, endpoint: moved(endpoint), replay_endpoint: replay === null ? null : moved(replay) };
}

/** What the events need to know of a request in the engine. */
export interface CachedTokens {
  /** Prompt and answer. */
  readonly tokens: readonly number[];
  readonly lora: { readonly name: string; readonly id: number } | null;
  readonly cacheSalt: string | null;
}

interface StoredRun {
  readonly requestId: string;
  readonly hashes: number[];
  readonly first: number;
  readonly parent: number;
}

type CacheEvent = StoredRun | { readonly removed: number } | 'cleared';

/** Collects what happens in the KV cache during a step, and makes the batch of events that vLLM would publish of it. */
export class KvEventLog implements BlockListener {
  readonly #blockTokens: number;
  readonly #format: KvEventsFormat;
  readonly #rank: number;
  readonly #requestOf: (id: string) => CachedTokens | undefined;
  #events: CacheEvent[] = [];

  constructor(
    blockTokens: number,
    format: KvEventsFormat,
    rank: number,
    requestOf: (id: string) => CachedTokens | undefined,
  ) {
    this.#blockTokens = blockTokens;
    this.#format = format;
    this.#rank = rank;
    this.#requestOf = requestOf;
  }

  stored(requestId: string, index: number, hash: number, parent: number): void {
    const last = this.#events.at(-1);
    const continues =
      typeof last === 'object' &&
      'requestId' in last &&
      last.requestId === requestId &&
      last.first + last.hashes.length === index;
    if (continues) last.hashes.push(hash);
    else this.#events.push({ requestId, hashes: [hash], first: index, parent });
  }

  removed(hash: number): void {
    this.#events.push({ removed: hash });
  }

  cleared(): void {
    this.#events = ['cleared'];
  }

  /** The batch since the last call as MessagePack; null when nothing happened. */
  take(epochSeconds: number): Buffer | null {
    if (this.#events.length === 0) return null;
    const events = this.#events.flatMap((event) => this.#encoded(event) ?? []);
    this.#events = [];
    // Python's time is a float even on the second.
    const time = Number.isInteger(epochSeconds) ? epochSeconds + 1e-6 : epochSeconds;
    return encodeMsgpack([time, events, this.#rank]);
  }

  #encoded(event: CacheEvent): MsgpackValue[] | null {
    const isMap = this.#format === 'map';
    if (event === 'cleared') return [isMap ? { type: 'AllBlocksCleared' } : ['AllBlocksCleared']];
    if ('removed' in event) {
      const hashes = [wireHash(event.removed)];
      if (!isMap) return [['BlockRemoved', hashes, 'GPU']];
      return [{ type: 'BlockRemoved', block_hashes: hashes, medium: 'GPU', group_idx: 0 }];
    }
    const request = this.#requestOf(event.requestId);
    if (request === undefined) return null;
    const blockTokens = this.#blockTokens;
    const { lora, cacheSalt } = request;
    const hashes = event.hashes.map(wireHash);
    const parent = event.first === 0 ? null : wireHash(event.parent);
    const tokens = request.tokens.slice(event.first * blockTokens, (event.first + hashes.length) * blockTokens);
    if (!isMap) {
      return [['BlockStored', hashes, parent, tokens, blockTokens, lora?.id ?? null, 'GPU', lora?.name ?? null]];
    }
    const extraKeys = event.hashes.map((_, at) => {
      const keys = [lora?.name, event.first + at === 0 ? cacheSalt : null].filter((key) => typeof key === 'string');
      return keys.length === 0 ? null : keys;
    });
    return [
      {
        type: 'BlockStored',
        block_hashes: hashes,
        parent_block_hash: parent,
        token_ids: tokens,
        block_size: blockTokens,
        lora_id: lora?.id ?? null,
        medium: 'GPU',
        lora_name: lora?.name ?? null,
        extra_keys: extraKeys,
        group_idx: 0,
        kv_cache_spec_kind: 'full_attention',
      },
    ];
  }
}

/** Our 53-bit hash as the unsigned 64-bit number that goes over the wire; different ones stay different. */
function wireHash(hash: number): bigint {
  return BigInt.asUintN(64, BigInt(hash) * 0x9e3779b97f4a7c15n);
}
