import { hashWords, type BlockHashes, type ChainState } from '../../base/block-hash.ts';
import type { PrefixIndex } from '../prefix-index/prefix-index.ts';
import { tokensStart } from '../prefix-index/prefix-key.ts';
import { EngineBlocks } from './engine-blocks.ts';
import type { BlocksEvent, EventHandler } from './event-reader.ts';

/** What has been heard of one endpoint's cache; counts since the start. */
interface CacheCounts {
  stored: number;
  removed: number;
  cleared: number;
  /** Blocks whose parent was not known, so that their prefix is not. */
  orphaned: number;
}

/**
 * What one endpoint has cached, as its engine's events say, kept up in the prefix index. Its hashes are translated into
 * ours, which are made of the tokens in the events: so no seed, algorithm or block size has to agree with anything.
 * Data-parallel ranks behind one address share a slot: a block counts while any of them has it.
 */
export class EngineCache {
  /** Tokens of a block, as events say; null before the first. */
  blockTokens: number | null = null;
  readonly counts: CacheCounts = { stored: 0, removed: 0, cleared: 0, orphaned: 0 };
  readonly #index: PrefixIndex;
  readonly #slot: number;
  readonly #seed: ChainState;
  readonly #limitBytes: number;
  readonly #ranks = new Map<number, EngineBlocks>();
  /** The group of layers whose blocks decide about prefix hits: full attention's. */
  #group: number | null = null;
  #hashes: BlockHashes = { low: new Uint32Array(64), high: new Uint32Array(64) };

  constructor(index: PrefixIndex, slot: number, seed: ChainState, limitBytes: number) {
    this.#index = index;
    this.#slot = slot;
    this.#seed = seed;
    this.#limitBytes = limitBytes;
  }

  get blocks(): number {
    return [...this.#ranks.values()].reduce((sum, blocks) => sum + blocks.count, 0);
  }

  get bytes(): number {
    return [...this.#ranks.values()].reduce((sum, blocks) => sum + blocks.bytes, 0);
  }

  /** What takes the events of one rank. */
  rank(rank: number): EventHandler {
    const blocks = new EngineBlocks(this.#limitBytes);
    this.#ranks.set(rank, blocks);
    return {
      stored: (event) => this.#stored(blocks, event),
      removed: (event) => this.#removed(blocks, event),
      cleared: () => {
        this.counts.cleared += 1;
        this.forget(rank);
      },
    };
  }

  /** What the rank had cached is gone, or no longer known. */
  forget(rank: number): void {
    this.#ranks.get(rank)?.clear();
    this.#index.forgetStored(this.#slot);
    const one = { low: new Uint32Array(1), high: new Uint32Array(1) };
    for (const blocks of this.#ranks.values()) {
      blocks.each((low, high, onlySlower) => {
        one.low[0] = low;
        one.high[0] = high;
        this.#index.store(one, 1, this.#slot, onlySlower);
      });
    }
  }

  #stored(blocks: EngineBlocks, event: BlocksEvent): void {
    if (!this.#isOfGroup(event)) return;
    const slower = isSlower(event);
    if (event.blockTokens === 0 || event.tokenCount === 0) return this.#copied(blocks, event, slower);
    const { count, blockTokens } = event;
    // Of masked layers not every block is kept, and which hash is whose is not told.
    if (count * blockTokens !== event.tokenCount) return;
    this.blockTokens = blockTokens;
    const start = this.#startOf(blocks, event);
    if (start === null) {
      this.counts.orphaned += count;
      return;
    }
    if (count > this.#hashes.low.length) {
      this.#hashes = { low: new Uint32Array(count * 2), high: new Uint32Array(count * 2) };
    }
    const hashes = this.#hashes;
    hashWords(event.tokens, blockTokens, count, start, hashes, event.extra);
    this.#index.store(hashes, count, this.#slot, slower);
    for (let i = 0; i < count; i++) {
      const [low, high] = [event.hashLow[i]!, event.hashHigh[i]!];
      const known = blocks.find(low, high);
      if (known < 0) blocks.add(low, high, hashes.low[i]!, hashes.high[i]!, slower, this.#dropOwn);
      else blocks.addCopy(known, slower);
    }
    this.counts.stored += count;
  }

  /** Blocks that are known by now exist in another tier. */
  #copied(blocks: EngineBlocks, event: BlocksEvent, slower: boolean): void {
    const hashes = this.#hashes;
    for (let i = 0; i < event.count; i++) {
      const known = blocks.find(event.hashLow[i]!, event.hashHigh[i]!);
      if (known < 0) {
        this.counts.orphaned += 1;
        continue;
      }
      blocks.addCopy(known, slower);
      hashes.low[0] = blocks.ownLow(known);
      hashes.high[0] = blocks.ownHigh(known);
      this.#index.store(hashes, 1, this.#slot, slower);
      this.counts.stored += 1;
    }
  }

  #removed(blocks: EngineBlocks, event: BlocksEvent): void {
    if (!this.#isOfGroup(event)) return;
    const slower = isSlower(event);
    for (let i = 0; i < event.count; i++) {
      const [low, high] = [event.hashLow[i]!, event.hashHigh[i]!];
      const at = blocks.find(low, high);
      if (at < 0) continue;
      this.counts.removed += 1;
      const [ownLow, ownHigh] = [blocks.ownLow(at), blocks.ownHigh(at)];
      if (blocks.removeCopy(at, slower) && !this.#anotherRankHas(blocks, low, high, slower)) {
        this.#index.unstore(ownLow, ownHigh, this.#slot, slower);
      }
    }
  }

  #anotherRankHas(blocks: EngineBlocks, low: number, high: number, slower: boolean): boolean {
    for (const others of this.#ranks.values()) {
      if (others === blocks) continue;
      const at = others.find(low, high);
      if (at >= 0 && others.isIn(at, slower)) return true;
    }
    return false;
  }

  #startOf(blocks: EngineBlocks, event: BlocksEvent): ChainState | null {
    if (!event.hasParent) return tokensStart(event.lora, event.salt, this.#seed);
    const parent = blocks.find(event.parentLow, event.parentHigh);
    return parent < 0 ? null : { low: blocks.ownLow(parent), high: blocks.ownHigh(parent) };
  }

  /** Hybrid models publish every group of layers; one that attends to everything is followed. */
  #isOfGroup({ group, groupKind }: BlocksEvent): boolean {
    if (group === null) return true;
    if (groupKind !== null && !/^(full|mla|sink_full)_attention/.test(groupKind)) return false;
    if (groupKind !== null || group === 0) this.#group ??= group;
    return group === this.#group;
  }

  readonly #dropOwn = (low: number, high: number): void => {
    this.#index.unstore(low, high, this.#slot, false);
    this.#index.unstore(low, high, this.#slot, true);
  };
}

function isSlower({ medium, isRemote }: BlocksEvent): boolean {
  return isRemote || (medium !== null && medium !== 'GPU' && medium !== 'HBM');
}
