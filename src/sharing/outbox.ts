import type { BlockHashes } from '../base/block-hash.ts';
import type { Failure } from '../fleet/health.ts';
import type { Key } from '../keys/key.ts';
import type { Keys } from '../keys/keys.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { noOthers, type Others } from '../fleet/ledger.ts';
import type { Caller } from '../scheduler/request.ts';
import type { SeenPrefill } from '../fleet/seen-prefills.ts';
import { noNews, type EndpointBlocks, type EndpointLevels, type News } from './batch.ts';

/** Block hashes kept for others that cannot be told now: the oldest go. */
const maxBlocks = 512 * 1024;
/** Blocks told in one batch. */
const batchBlocks = 16 * 1024;
const maxCharges = 10_000;
const keysPerBatch = 1000;

interface SentBlocks {
  readonly name: string;
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
  /** What of each endpoint was told last. */
  readonly #told = new Map<string, Others>();
  readonly #toldKeys = new Set<Key>();
  /** Blocks that nobody was told of. */
  dropped = 0;

  constructor(fleet: Fleet, keys: Keys | null) {
    this.#fleet = fleet;
    this.#keys = keys;
  }

  sent(name: string, hashes: BlockHashes, tokensPerBlock: number, withdrawn = false): void {
    this.#blocks.push({ name, tokensPerBlock, hashes, withdrawn });
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

  charge({ priority, fairnessId }: Pick<Caller, 'priority' | 'fairnessId'>, tokens: number): void {
    const id = `${priority} ${fairnessId}`;
    const known = this.#charges.get(id);
    if (known !== undefined) known.tokens += tokens;
    else if (this.#charges.size < maxCharges) this.#charges.set(id, { priority, fairnessId, tokens });
  }

  /** What there is to tell now; null when nothing. In `full` all that is not told again counts as nothing. */
  take(nowMs: number, full: boolean): News | null {
    const blocks = this.#takeBlocks();
    const news = {
      ...noNews,
      full,
      endpoints: this.#levels(nowMs, full),
      prefilled: this.#takePrefilled(nowMs),
      out: this.#out,
      charges: [...this.#charges.values()],
      keys: this.#keyLevels(nowMs),
      sent: byEndpoint(blocks.filter(({ withdrawn }) => !withdrawn)),
      withdrawn: byEndpoint(blocks.filter(({ withdrawn }) => withdrawn)),
    };
    const { endpoints, prefilled, out, charges, keys } = news;
    const lists = [endpoints, prefilled, out, charges, keys, blocks];
    if (!full && lists.every(({ length }) => length === 0)) return null;
    this.#charges = new Map();
    this.#out = [];
    return news;
  }

  #levels(nowMs: number, full: boolean): EndpointLevels[] {
    const { ledger, speed, slots } = this.#fleet;
    const changed: EndpointLevels[] = [];
    for (const slot of slots) {
      const { name } = this.#fleet.endpointAt(slot)!;
      const own = ledger.own(slot, speed.slowness(slot, nowMs), nowMs);
      const isNothing = own.inFlight === 0 && own.prefillCost === 0;
      if (full ? isNothing : isSame(own, this.#told.get(name) ?? noOthers)) continue;
      const { headPlacedAtMs, doneAtMs, ...levels } = own;
      changed.push({ name, ...levels, headAgeMs: agoMs(headPlacedAtMs, nowMs), doneAgoMs: agoMs(doneAtMs, nowMs) });
      this.#told.set(name, own);
    }
    if (full && this.#told.size > 2 * slots.length) this.#told.clear();
    return changed;
  }

  #takePrefilled(nowMs: number): News['prefilled'] {
    const taken = this.#prefilled;
    this.#prefilled = [];
    return taken.flatMap(({ slot, cost, sinceMs, doneAtMs }) => {
      const name = this.#fleet.endpointAt(slot)?.name;
      if (name === undefined) return [];
      return { name, cost, sinceAgoMs: agoMs(sinceMs, nowMs), doneAgoMs: agoMs(doneAtMs, nowMs) };
    });
  }

  #keyLevels(nowMs: number): News['keys'] {
    const keys = this.#keys;
    const changed: News['keys'][number][] = [];
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
      changed.push({ name: key.name, requests, tokens, inFlight });
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

/** Those of one endpoint together. */
function byEndpoint(blocks: readonly SentBlocks[]): EndpointBlocks[] {
  const found = new Map<string, { runs: BlockHashes[]; blocks: number; tokens: number }>();
  for (const { name, tokensPerBlock, hashes } of blocks) {
    let at = found.get(name);
    if (at === undefined) found.set(name, (at = { runs: [], blocks: 0, tokens: 0 }));
    at.runs.push(hashes);
    at.blocks += hashes.low.length;
    at.tokens += hashes.low.length * tokensPerBlock;
  }
  return Array.from(found, ([name, { runs, blocks: count, tokens }]) => ({
    ...{ name, runs },
    tokensPerBlock: count === 0 ? 0 : tokens / count,
  }));
}

function isSame(own: Readonly<Others>, told: Readonly<Others>): boolean {
  return (
    own.inFlight === told.inFlight &&
    own.prefillTokens === told.prefillTokens &&
    own.prefillCost === told.prefillCost &&
    own.contextTokens === told.contextTokens &&
    own.headCost === told.headCost &&
    own.headPlacedAtMs === told.headPlacedAtMs &&
    own.doneAtMs === told.doneAtMs
  );
}

/** How long ago; of what never was or is not, 0 or as long as anybody cares. */
function agoMs(atMs: number, nowMs: number): number {
  return Math.min(longAgoMs, Math.max(0, nowMs - atMs));
}
