import { MsgpackError, MsgpackReader } from '../../base/msgpack-reader.ts';
import { halvesNumber, textNumber, withExtra } from '../prefix-index/extra-keys.ts';

/** Blocks that an engine has stored or removed. One object is used for every event: its contents are for the moment. */
export interface BlocksEvent {
  readonly count: number;
  /** The engine's own hashes, `count` of each half. */
  readonly hashLow: Uint32Array;
  readonly hashHigh: Uint32Array;
  readonly hasParent: boolean;
  readonly parentLow: number;
  readonly parentHigh: number;
  readonly tokens: Uint32Array;
  readonly tokenCount: number;
  /** 0 where the event is only about hashes and their medium. */
  readonly blockTokens: number;
  readonly medium: string | null;
  /** The adapter's name, or `#<id>` where only its number is told. */
  readonly lora: string | null;
  readonly salt: string | null;
  /** Per block, what it holds beside tokens (images and the like) as a number; 0 for nothing. */
  readonly extra: Uint32Array;
  readonly group: number | null;
  readonly groupKind: string | null;
  readonly isRemote: boolean;
}

/** Told of a batch's events in their order. */
export interface EventHandler {
  stored(blocks: BlocksEvent): void;
  removed(blocks: BlocksEvent): void;
  /** The whole cache was emptied. */
  cleared(): void;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Field = (typeof storedFields)[number] | 'cache_salt';

/** As vLLM's array form has them; the map form names them, and SGLang's adds `cache_salt`. */
const storedFields = [
  'block_hashes',
  'parent_block_hash',
  'token_ids',
  'block_size',
  'lora_id',
  'medium',
  'lora_name',
  'extra_keys',
  'group_idx',
  'kv_cache_spec_kind',
  'kv_cache_spec_sliding_window',
  'locality',
  'ownership',
  'session_id',
] as const;
const removedFields = ['block_hashes', 'medium', 'group_idx', 'locality', 'ownership'] as const;

const fieldByHash = new Map<number, Field>(
  [...storedFields, 'cache_salt' as const].map((field) => [textNumber(field), field]),
);
const typeKey = textNumber('type');

/**
 * Reads batches of KV events as vLLM (0.10 on) and SGLang publish them: `[time, events, rank?]`, each event a map with
 * `type` or an array that begins with it. Nothing is made per block.
 */
export class EventReader {
  readonly #reader = new MsgpackReader();
  readonly #event: Mutable<BlocksEvent> = {
    count: 0,
    hashLow: new Uint32Array(64),
    hashHigh: new Uint32Array(64),
    hasParent: false,
    parentLow: 0,
    parentHigh: 0,
    tokens: new Uint32Array(1024),
    tokenCount: 0,
    blockTokens: 0,
    medium: null,
    lora: null,
    salt: null,
    extra: new Uint32Array(64),
    group: null,
    groupKind: null,
    isRemote: false,
  };
  #loraId: string | null = null;
  #extraCount = 0;
  /** Strings beside the tokens of the first block: the adapter's name, and the salt of the prompt. */
  readonly #extraTexts: string[] = [];

  /** @throws MsgpackError when the payload is not such a batch; what came before the mistake has been handled. */
  read(payload: Buffer, handler: EventHandler): void {
    const reader = this.#reader;
    reader.reset(payload);
    const parts = reader.arrayLength();
    if (parts < 2) throw new MsgpackError('a batch of events has a time and a list');
    reader.skip();
    const events = reader.arrayLength();
    for (let i = 0; i < events; i++) this.#readEvent(handler);
    for (let i = 2; i < parts; i++) reader.skip();
  }

  #readEvent(handler: EventHandler): void {
    const reader = this.#reader;
    this.#begin();
    let type = '';
    if (reader.nextIsArray) {
      const length = reader.arrayLength();
      if (length === 0) throw new MsgpackError('an event without a type');
      type = reader.string();
      const fields: readonly Field[] = type === 'BlockRemoved' ? removedFields : storedFields;
      for (let i = 1; i < length; i++) this.#readField(fields[i - 1]);
    } else {
      const length = reader.mapLength();
      for (let i = 0; i < length; i++) {
        const key = reader.keyHash();
        if (key === typeKey) type = reader.string();
        else this.#readField(fieldByHash.get(key));
      }
    }
    this.#finish();
    if (type === 'BlockStored') handler.stored(this.#event);
    else if (type === 'BlockRemoved') handler.removed(this.#event);
    else if (type === 'AllBlocksCleared') handler.cleared();
  }

  #begin(): void {
    const event = this.#event;
    event.count = 0;
    event.hasParent = false;
    event.tokenCount = 0;
    event.blockTokens = 0;
    event.medium = null;
    event.lora = null;
    event.salt = null;
    event.group = null;
    event.groupKind = null;
    event.isRemote = false;
    this.#loraId = null;
    this.#extraCount = 0;
    this.#extraTexts.length = 0;
  }

  #readField(field: Field | undefined): void {
    const reader = this.#reader;
    const event = this.#event;
    if (field !== undefined && reader.takeNil()) return;
    switch (field) {
      case 'block_hashes':
        return this.#readHashes();
      case 'parent_block_hash':
        reader.hash();
        event.hasParent = true;
        event.parentLow = reader.low;
        event.parentHigh = reader.high;
        return;
      case 'token_ids':
        return this.#readTokens();
      case 'block_size':
        event.blockTokens = reader.uint();
        return;
      case 'lora_id':
        if (reader.nextIsString) this.#loraId = reader.string();
        else {
          reader.hash();
          this.#loraId = String(reader.low);
        }
        return;
      case 'medium':
        event.medium = reader.string();
        return;
      case 'lora_name':
        event.lora = reader.string();
        return;
      case 'cache_salt':
        event.salt = reader.string();
        return;
      case 'extra_keys':
        return this.#readExtraKeys();
      case 'group_idx':
        event.group = reader.uint();
        return;
      case 'kv_cache_spec_kind':
        event.groupKind = reader.string();
        return;
      case 'locality':
        event.isRemote = reader.string() === 'REMOTE';
        return;
      default:
        reader.skip();
    }
  }

  #readHashes(): void {
    const reader = this.#reader;
    const event = this.#event;
    const count = reader.arrayLength();
    if (count > event.hashLow.length) {
      event.hashLow = new Uint32Array(count * 2);
      event.hashHigh = new Uint32Array(count * 2);
    }
    for (let i = 0; i < count; i++) {
      reader.hash();
      event.hashLow[i] = reader.low;
      event.hashHigh[i] = reader.high;
    }
    event.count = count;
  }

  #readTokens(): void {
    const reader = this.#reader;
    const event = this.#event;
    const count = reader.arrayLength();
    if (count > event.tokens.length) event.tokens = new Uint32Array(count * 2);
    const { tokens } = event;
    for (let i = 0; i < count; i++) tokens[i] = reader.uint();
    event.tokenCount = count;
  }

  /** A list per block, or nil: names, `[identifier, offset]` of media, salts, digests. */
  #readExtraKeys(): void {
    const reader = this.#reader;
    const blocks = reader.arrayLength();
    if (blocks > this.#event.extra.length) this.#event.extra = new Uint32Array(blocks * 2);
    const { extra } = this.#event;
    for (let block = 0; block < blocks; block++) {
      extra[block] = 0;
      if (reader.takeNil()) continue;
      const keys = reader.arrayLength();
      for (let i = 0; i < keys; i++) {
        if (reader.nextIsString && block === 0) this.#extraTexts.push(reader.string());
        else if (reader.nextIsString) reader.skip();
        else if (reader.nextIsArray) extra[block] = this.#readMedia(extra[block]!);
        else {
          reader.hash();
          extra[block] = withExtra(extra[block]!, halvesNumber(reader.low, reader.high));
        }
      }
    }
    this.#extraCount = blocks;
  }

  #readMedia(before: number): number {
    const reader = this.#reader;
    let hash = before;
    const parts = reader.arrayLength();
    for (let i = 0; i < parts; i++) {
      if (reader.nextIsString) hash = withExtra(hash, reader.keyHash());
      else {
        reader.hash();
        hash = withExtra(hash, halvesNumber(reader.low, reader.high));
      }
    }
    return hash;
  }

  #finish(): void {
    const event = this.#event;
    if (event.lora === null && this.#loraId !== null) event.lora = `#${this.#loraId}`;
    // Salts stand among the first block's keys, beside the adapter's name.
    if (event.salt === null && !event.hasParent)
      event.salt = this.#extraTexts.find((text) => text !== event.lora) ?? null;
    if (event.count > event.extra.length) event.extra = new Uint32Array(event.count * 2);
    event.extra.fill(0, this.#extraCount, Math.max(this.#extraCount, event.count));
  }
}
