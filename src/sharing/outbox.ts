import type { BlockHashes } from '../base/block-hash.ts';
import type { Failure } from '../fleet/health.ts';
import type { Key } from '../keys/key.ts';
import type { Keys } from '../keys/keys.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { noOthers, type Others } from '../fleet/ledger.ts';
import type { SeenPrefill } from '../fleet/seen-prefills.ts';
import type { News, Question } from './batch.ts';

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

/** What nobody could be told for long is told no more. */
const maxPrefilled = 10_000;
const longAgoMs = 3_600_000;

/** What this replica has to tell the others. Noting it costs a request next to nothing; it is put into words in batches. */
export class Outbox {
  readonly #fleet: Fleet;
  readonly #keys: Keys | null;
  #blocks: SentBlocks[] = [];
  #blockCount = 0;
  #prefilled: SeenPrefill[] = [];
  #out: [string, Failure][] = [];
  #charges = new Map<string, { readonly priority: number; readonly fairnessId: string; tokens: number }>();
  #question: { readonly about: Question; readonly hashes: BlockHashes } | null = null;
  /** What of each endpoint was told last. */
  readonly #told = new Map<string, Others>();
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

  prefilled(seen: SeenPrefill): void {
    if (this.#prefilled.length < maxPrefilled) this.#prefilled.push(seen);
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
  take(nowMs: number, full: boolean): { readonly batch: News; readonly hashes: BlockHashes[] } | null {
    const endpoints = this.#endpoints(nowMs, full);
    const keys = this.#keyLevels(nowMs);
    const blocks = this.#takeBlocks();
    const question = this.#question;
    const charges = [...this.#charges.values()].map(({ priority, fairnessId, tokens }): [number, string, number] => [
      priority,
      fairnessId,
      tokens,
    ]);
    const prefilled = this.#prefilledTexts(nowMs);
    const out = this.#out;
    const isNothing = [endpoints, prefilled, keys, blocks, charges, out].every(({ length }) => length === 0);
    if (!full && isNothing && question === null) return null;
    this.#question = null;
    this.#charges = new Map();
    this.#out = [];
    const sent = blocks.filter(({ withdrawn }) => !withdrawn);
    const withdrawn = blocks.filter((each) => each.withdrawn);
    const batch = {
      ...(full ? { full } : {}),
      ...(endpoints.length === 0 ? {} : { endpoints }),
      ...(prefilled.length === 0 ? {} : { prefilled }),
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

  #endpoints(nowMs: number, full: boolean): NonNullable<News['endpoints']> {
    const { ledger, speed, slots } = this.#fleet;
    const changed: NonNullable<News['endpoints']> = [];
    for (const slot of slots) {
      const { name } = this.#fleet.endpointAt(slot)!;
      const own = ledger.own(slot, speed.slowness(slot, nowMs), nowMs);
      const isNothing = own.inFlight === 0 && own.prefillCost === 0;
      if (full ? isNothing : isSame(own, this.#told.get(name) ?? noOthers)) continue;
      const { inFlight, prefillTokens, prefillCost, contextTokens, headCost, headPlacedAtMs, doneAtMs } = own;
      const work = [prefillTokens, rounded(prefillCost), contextTokens, rounded(headCost)] as const;
      changed.push([name, inFlight, ...work, agoMs(headPlacedAtMs, nowMs), agoMs(doneAtMs, nowMs)]);
      this.#told.set(name, own);
    }
    if (full && this.#told.size > 2 * slots.length) this.#told.clear();
    return changed;
  }

  #prefilledTexts(nowMs: number): NonNullable<News['prefilled']> {
    const texts: NonNullable<News['prefilled']> = [];
    for (const { slot, cost, sinceMs, doneAtMs } of this.#prefilled) {
      const name = this.#fleet.endpointAt(slot)?.name;
      if (name !== undefined) texts.push([name, rounded(cost), agoMs(sinceMs, nowMs), agoMs(doneAtMs, nowMs)]);
    }
    this.#prefilled = [];
    return texts;
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

function isSame(own: Others, told: Readonly<Others>): boolean {
  return (Object.keys(own) as (keyof Others)[]).every((what) => own[what] === told[what]);
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1e5) / 1e5;
}

/** How long ago; of what never was or is not, 0 or as long as anybody cares. */
function agoMs(atMs: number, nowMs: number): number {
  return Math.min(longAgoMs, Math.max(0, Math.round(nowMs - atMs)));
}
