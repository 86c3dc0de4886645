import type { Fleet } from '../fleet/fleet.ts';
import type { Others } from '../fleet/ledger.ts';
import { noOthers, together } from '../fleet/ledger.ts';
import type { Keys } from '../keys/keys.ts';
import type { Header, News } from './batch.ts';

/** Who has not been heard of for so long is gone, with what it had on its way. */
const silentMs = 3000;
/** What its keys have used leaves their minute later. */
const minuteMs = 60_000;
/** By so much with each batch the fastest is believed less, for clocks drift and are set. */
const forgottenMs = 0.1;

interface Peer {
  readonly id: string;
  heardAtMs: number;
  readonly endpoints: Map<string, Others>;
  /** What its clock shows is so much more here; of batches those that came fastest tell. */
  aheadMs: number;
  readonly keys: Map<string, { requests: number; tokens: number; inFlight: number }>;
  isGone: boolean;
}

/** What other replicas have told of what they have on its way, laid beside our own. */
export class Peers {
  readonly #fleet: Fleet;
  readonly #keys: Keys | null;
  readonly #self: string;
  /** Threads of the same process, whose requests and use of keys are known otherwise. */
  readonly #isSibling: (id: string) => boolean;
  readonly #peers = new Map<string, Peer>();

  constructor(self: string, fleet: Fleet, keys: Keys | null, isSibling: (id: string) => boolean = () => false) {
    this.#isSibling = isSibling;
    this.#self = self;
    this.#fleet = fleet;
    this.#keys = keys;
  }

  /** Those that are there, this one left out. */
  get ids(): string[] {
    return [...this.#peers.values()].flatMap(({ id, isGone }) => (isGone ? [] : [id])).sort();
  }

  /** Gives when the batch was made, by the clock here. */
  heard({ from, atMs }: Header, news: News, nowMs: number): number {
    const isSibling = this.#isSibling(from);
    const endpoints = isSibling ? [] : news.endpoints;
    const keys = isSibling ? [] : news.keys;
    let peer = this.#peers.get(from);
    const isNew = peer === undefined || peer.isGone;
    if (peer === undefined) {
      peer = {
        id: from,
        heardAtMs: nowMs,
        endpoints: new Map(),
        aheadMs: Infinity,
        keys: new Map(),
        isGone: false,
      };
      this.#peers.set(from, peer);
    }
    peer.heardAtMs = nowMs;
    peer.isGone = false;
    peer.aheadMs = Math.min(peer.aheadMs + forgottenMs, nowMs - atMs);
    const madeAtMs = atMs + peer.aheadMs;
    if (isNew) this.#count();
    const touched = new Set(endpoints.map(({ name }) => name));
    if (news.full) {
      for (const name of peer.endpoints.keys()) touched.add(name);
      peer.endpoints.clear();
    }
    for (const { name, headAgeMs, doneAgoMs, ...levels } of endpoints) {
      const headPlacedAtMs = levels.headCost === 0 ? Infinity : madeAtMs - headAgeMs;
      peer.endpoints.set(name, { ...levels, headPlacedAtMs, doneAtMs: madeAtMs - doneAgoMs });
    }
    for (const name of touched) this.#sumEndpoint(name);
    for (const { name, ...levels } of keys) {
      peer.keys.set(name, levels);
      this.#sumKey(name);
    }
    if (news.bye) this.#gone(peer);
    return madeAtMs;
  }

  /** Lets go of those that are silent. */
  expire(nowMs: number): void {
    for (const peer of [...this.#peers.values()]) {
      const silent = nowMs - peer.heardAtMs;
      if (!peer.isGone && silent > silentMs) this.#gone(peer);
      if (!peer.isGone || silent < minuteMs) continue;
      this.#peers.delete(peer.id);
      for (const name of peer.keys.keys()) this.#sumKey(name);
    }
  }

  /** They can be heard again: those that are still there have a while to say so. */
  waitAgain(nowMs: number): void {
    for (const peer of this.#peers.values()) peer.heardAtMs = nowMs;
  }

  /** Nobody can be heard: what they had on its way is not known any more. How many share a limit is left as it was. */
  cutOff(): void {
    for (const peer of this.#peers.values()) this.#forget(peer);
  }

  #gone(peer: Peer): void {
    peer.isGone = true;
    this.#forget(peer);
    this.#count();
  }

  #forget(peer: Peer): void {
    const names = [...peer.endpoints.keys()];
    peer.endpoints.clear();
    for (const name of names) this.#sumEndpoint(name);
    for (const [name, levels] of peer.keys) {
      levels.inFlight = 0;
      this.#sumKey(name);
    }
  }

  #count(): void {
    const all = [...this.ids.filter((id) => !this.#isSibling(id)), this.#self].sort();
    if (this.#keys !== null) this.#keys.replicas = { count: all.length, rank: all.indexOf(this.#self) };
  }

  #sumEndpoint(name: string): void {
    const slot = this.#fleet.slotOf(name);
    if (slot === null) return;
    let sum = noOthers;
    for (const { endpoints } of this.#peers.values()) sum = together(sum, endpoints.get(name) ?? noOthers);
    this.#fleet.ledger.setOthers(slot, sum);
  }

  #sumKey(name: string): void {
    const key = this.#keys?.named(name);
    if (key === null || key === undefined) return;
    const sum = { requests: 0, tokens: 0, inFlight: 0 };
    for (const { keys } of this.#peers.values()) {
      const levels = keys.get(name);
      if (levels === undefined) continue;
      sum.requests += levels.requests;
      sum.tokens += levels.tokens;
      sum.inFlight += levels.inFlight;
    }
    key.others = sum;
  }
}
