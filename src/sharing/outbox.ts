import type { BlockHashes } from '../base/block-hash.ts';
import type { Failure } from '../fleet/health.ts';
import type { Key } from '../keys/key.ts';
import type { Keys } from '../keys/keys.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { BatchText, Question } from './batch.ts';

/** Block hashes kept for others that cannot be told now: the oldest go. */
const maxBlocks = 512 * 1024;
/** Blocks told in one batch. */
const batchBlocks = 16 * 1024;
const maxCharges = 10_000;
const keysPerBatch = 1000;

interface SentBlocks {
  readonly endpoint: string;
  readonly tokensPerBlock: number;
  readonly hashes: BlockHashes;
  readonly withdrawn: boolean;
}

type Levels = [inFlight: number, prefillTokens: number, seconds: number, cost: number, context: number, done: number];

/** What this replica has to tell the others. Noting it costs a request next to nothing; it is put into words in batches. */
export class Outbox {
  readonly #fleet: Fleet;
  readonly #keys: Keys | null;
  #blocks: SentBlocks[] = [];
  #blockCount = 0;
  #out: [string, Failure][] = [];
  #charges = new Map<string, { readonly priority: number; readonly fairnessId: string; tokens: number }>();
  #question: { readonly about: Question; readonly hashes: BlockHashes } | null = null;
  /** What of each endpoint was told last. */
  readonly #told = new Map<string, Levels>();
  readonly #toldKeys = new Set<Key>();
  /** Blocks that nobody was told of. */
  dropped = 0;

  constructor(fleet: Fleet, keys: Keys | null) {
    this.#fleet = fleet;
    this.#keys = keys;
  }

  /** Whether the next batch may bring a question. */
  get wantsQuestion(): boolean {
    return this.#question === null;
  }

  ask(about: Question, hashes: BlockHashes): void {
    this.#question = { about, hashes };
  }

  sent(endpoint: string, hashes: BlockHashes, tokensPerBlock: number, withdrawn = false): void {
    this.#blocks.push({ endpoint, tokensPerBlock, hashes, withdrawn });
    this.#blockCount += hashes.low.length;
    while (this.#blockCount > maxBlocks) {
      const { length } = this.#blocks.shift()!.hashes.low;
      this.#blockCount -= length;
      this.dropped += length;
    }
  }

  out(endpoint: string, failure: Failure): void {
    this.#out.push([endpoint, failure]);
  }

  charge(priority: number, fairnessId: string, tokens: number): void {
    const id = `${priority} ${fairnessId}`;
    const known = this.#charges.get(id);
    if (known !== undefined) known.tokens += tokens;
    else if (this.#charges.size < maxCharges) this.#charges.set(id, { priority, fairnessId, tokens });
  }

  /** What there is to tell now; null when nothing. In `full` all that is not told again counts as nothing. */
  take(
    nowMs: number,
    full: boolean,
  ): { readonly batch: Omit<BatchText, 'version' | 'from'>; hashes: BlockHashes[] } | null {
    const endpoints = this.#endpoints(nowMs, full);
    const keys = this.#keyLevels(nowMs);
    const blocks = this.#takeBlocks();
    const question = this.#question;
    const charges = [...this.#charges.values()].map(({ priority, fairnessId, tokens }): [number, string, number] => [
      priority,
      fairnessId,
      tokens,
    ]);
    const out = this.#out;
    const isNothing = [endpoints, keys, blocks, charges, out].every(({ length }) => length === 0);
    if (!full && isNothing && question === null) return null;
    this.#question = null;
    this.#charges = new Map();
    this.#out = [];
    const sent = blocks.filter(({ withdrawn }) => !withdrawn);
    const withdrawn = blocks.filter((each) => each.withdrawn);
    const batch = {
      ...(full ? { full } : {}),
      ...(endpoints.length === 0 ? {} : { endpoints }),
      ...(out.length === 0 ? {} : { out }),
      ...(charges.length === 0 ? {} : { charges }),
      ...(keys.length === 0 ? {} : { keys }),
      ...(sent.length === 0
        ? {}
        : {
            sent: sent.map((each): [string, number, number] => [
              each.endpoint,
              each.tokensPerBlock,
              each.hashes.low.length,
            ]),
          }),
      ...(withdrawn.length === 0
        ? {}
        : { withdrawn: withdrawn.map(({ endpoint, hashes }): [string, number] => [endpoint, hashes.low.length]) }),
      ...(question === null ? {} : { question: question.about }),
    };
    const hashes = [...sent, ...withdrawn].map((each) => each.hashes);
    if (question !== null) hashes.push(question.hashes);
    return { batch, hashes };
  }

  #endpoints(nowMs: number, full: boolean): [string, ...Levels][] {
    const { ledger, speed, slots } = this.#fleet;
    const changed: [string, ...Levels][] = [];
    for (const slot of slots) {
      const { name } = this.#fleet.endpointAt(slot)!;
      const levels = ledger.own(slot, speed.slowness(slot, nowMs), nowMs);
      const told = this.#told.get(name);
      const isNothing = levels.every((level, at) => level === 0 || at === levels.length - 1);
      if (full ? isNothing : told === undefined ? isNothing : told.every((level, at) => level === levels[at])) continue;
      changed.push([name, ...levels]);
      this.#told.set(name, levels);
    }
    if (full && this.#told.size > 2 * slots.length) this.#told.clear();
    return changed;
  }

  #keyLevels(nowMs: number): [string, number, number, number][] {
    const keys = this.#keys;
    const changed: [string, number, number, number][] = [];
    if (keys === null) return changed;
    for (const key of keys.takeTouched()) this.#toldKeys.add(key);
    let looked = 0;
    for (const key of this.#toldKeys) {
      if (++looked > keysPerBatch) break;
      const { requests, tokens, inFlight } = key.levels(nowMs);
      const { told } = key;
      const isSame = told.requests === requests && told.tokens === tokens && told.inFlight === inFlight;
      // Those behind it have their turn in the next batch.
      this.#toldKeys.delete(key);
      if (requests + tokens + inFlight > 0) this.#toldKeys.add(key);
      if (isSame) continue;
      key.told = { requests, tokens, inFlight };
      changed.push([key.name, requests, tokens, inFlight]);
    }
    return changed;
  }

  #takeBlocks(): SentBlocks[] {
    const taken: SentBlocks[] = [];
    let count = 0;
    while (this.#blocks.length > 0 && count < batchBlocks) {
      const next = this.#blocks.shift()!;
      taken.push(next);
      count += next.hashes.low.length;
    }
    this.#blockCount -= count;
    return taken;
  }
}
