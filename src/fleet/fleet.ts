import type { BlockHashes, ChainState } from '../base/block-hash.ts';
import { passingNumbers } from '../base/numbers.ts';
import type { Endpoint } from '../scheduler/endpoint.ts';
import type { Loras } from '../scheduler/view.ts';
import type { Engine, Gauges } from './gauges/gauges.ts';
import { Health, type Failure, type ProbeResult } from './health.ts';
import type { SharedRows } from '../base/shared-rows.ts';
import { Ledger, noOthers, type Entry } from './ledger.ts';
import { PrefixIndex } from './prefix-index/prefix-index.ts';
import { decodeCost, prefillCost } from './prefill-cost.ts';
import {
  bytesOfBlocks,
  tokensPerBlock,
  usualBlockTokens,
  type PrefixKey,
  type TokenChains,
} from './prefix-index/prefix-key.ts';
import { HotPrefixes } from './prefix-index/hot-prefixes.ts';
import { Speculation } from './prefix-index/speculation.ts';
import { Prediction } from './prediction.ts';
import { RequestView, type Cached, type FleetColumns, type Knowledge } from './request-view.ts';
import { SeenPrefills, type SeenPrefill } from './seen-prefills.ts';
import { Speed } from './speed.ts';
import { BytesPerToken } from './tokens-per-text.ts';

/** What the fleet knows of the endpoint in one slot, beside the columns. */
interface Member {
  readonly endpoint: Endpoint;
  readonly health: Health;
  /** Set by whoever runs it, e.g. an endpoints file. */
  declaredReady: boolean;
  /** It answered `GET /v1/models`. */
  answers: boolean;
  /** Whether it has been asked since it was to be ready, whatever came of it. */
  asked: boolean;
  models: ReadonlyMap<string, ServedModel>;
  /** Null until its metrics were read. */
  engine: Engine | null;
}

/** What placing a request on a slot needs. */
export interface Placement {
  readonly slot: number;
  readonly entry: Entry;
  readonly key: PrefixKey;
  /** Prefill ahead of its first token at reference speed, its own included; 0 when its prompt is computed elsewhere. */
  readonly prefillCost: number;
  readonly placedAtMs: number;
  /** The prompt's blocks, of the slot's own size where it is known. */
  readonly hashes: BlockHashes;
  /** Tokens thought to be cached there, and whether its engine's events said so. */
  readonly cachedTokens: number;
  readonly byEvents: boolean;
  /** Tells this tenant of the slot from a later one. */
  readonly member: object;
}

interface PlacedRequest {
  readonly model: string;
  readonly streaming: boolean;
  readonly promptTokens: number;
}

interface FleetOptions {
  /** Secret start of the prefix chains. */
  readonly prefixSeed: ChainState;
  readonly prefixIndexBytes?: number;
  /** Where the threads that serve with this one keep what they have on its way; their slots are the same. */
  readonly siblings?: SharedRows;
}

export const slotLimit = 4096;
/** An endpoint that said that it is busy is left alone for so long while there are others. */
const busyMs = 500;
/** With less than this share of those that answer in use, failures are likelier everybody's than theirs. */
const panicShare = 0.5;

/** What bringing a token up from a slower tier costs, as a share of computing it: llm-d's indexer weighs them so. */
const slowerTierCost = 0.2;

/** A model as an engine lists it. */
export interface ServedModel {
  readonly id: string;
  readonly createdSeconds?: number | undefined;
  /** Longest prompt and answer together. */
  readonly maxModelTokens?: number | undefined;
  /** Path or name of what is served, as the engine was told. */
  readonly root?: string | undefined;
  /** The model that it is an adapter of. */
  readonly parent?: string | undefined;
}

/**
 * How far an endpoint's cache is known by its engine's events: not at all, from some moment on, or in whole. In the
 * first two cases what was sent there counts as well.
 */
type EventKnowledge = 'none' | 'partial' | 'complete';

/** What holds wherever a request for the model goes: the oldest date, the shortest limit. */
function commonModel(model: ServedModel, other: ServedModel | undefined): ServedModel {
  const least = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
  return {
    id: model.id,
    createdSeconds: least(model.createdSeconds, other?.createdSeconds),
    maxModelTokens: least(model.maxModelTokens, other?.maxModelTokens),
    root: model.root ?? other?.root,
    parent: model.parent ?? other?.parent,
  };
}

/** Decoding goes on beside prefill, however much of that there is. */
const mostPrefillShare = 0.95;

/**
 * Everything known of the endpoints, as columns behind `FleetView`. No clock, sockets or timers of its own:
 * what is learned elsewhere (discovery, polls, answers) is told to it.
 */
export class Fleet {
  readonly prefixSeed: ChainState;
  readonly prefixes: PrefixIndex;
  readonly bytesPerToken = new BytesPerToken();
  readonly ledger: Ledger;
  readonly speed = new Speed(slotLimit);
  readonly prediction = new Prediction(slotLimit);
  readonly hotPrefixes = new HotPrefixes();
  readonly prefills = new SeenPrefills(slotLimit, (...seen) => this.speed.observePrefill(...seen));
  readonly #speculation: Speculation;
  readonly #members: (Member | undefined)[] = [];
  readonly #endpoints: (Endpoint | undefined)[] = [];
  readonly #slotByName = new Map<string, number>();
  readonly #waiting = new Float64Array(slotLimit).fill(NaN);
  readonly #running = new Float64Array(slotLimit).fill(NaN);
  readonly #othersInFlight = new Float64Array(slotLimit).fill(NaN);
  readonly #kvUsage = new Float64Array(slotLimit).fill(NaN);
  readonly #scrapedAtMs = new Float64Array(slotLimit).fill(NaN);
  /** Tokens that each engine's KV cache holds; NaN where it does not say. */
  readonly kvCapacityTokens = new Float64Array(slotLimit).fill(NaN);
  readonly #queuedPrefillSeconds = new Float64Array(slotLimit);
  readonly #gaugeAgeMs = new Float64Array(slotLimit);
  /** Slots by model (empty name: any), until membership or readiness changes. */
  readonly #eligible = new Map<string, Int32Array>();

  readonly #suspects = new Set<number>();
  readonly #loras: (Loras | null)[] = [];
  readonly #eventKnowledge: EventKnowledge[] = [];
  readonly #blockTokens = new Int32Array(slotLimit).fill(usualBlockTokens);
  /** Called with blocks that an endpoint gets and was not known to have lately, or that it did not compute after all. */
  onSent: ((name: string, hashes: BlockHashes, tokensPerBlock: number, isWithdrawn: boolean) => void) | null = null;
  /** Called with prefill that was seen to be done. */
  onPrefilled: ((seen: SeenPrefill) => void) | null = null;
  /** Called when an endpoint was taken out for what was seen here. */
  onOut: ((name: string, failure: Failure) => void) | null = null;
  /** Called when what an endpoint had cached is gone, with the endpoint or without it. */
  onCacheLost: (slot: number) => void = () => undefined;
  /** How often that was so, by slot. */
  readonly distrusts = new Uint32Array(slotLimit);
  /** Called when engine and events have disagreed for long. */
  onDistrust: (slot: number) => void = () => undefined;
  /** When anything was last heard from each slot in answer to a request. */
  readonly #heardAtMs = new Float64Array(slotLimit).fill(-Infinity);
  /** Until when each slot said that it is busy, and the last of these moments. */
  readonly #busyUntilMs = new Float64Array(slotLimit);
  #anyBusyUntilMs = 0;
  /** Most endpoints are out, though not hopeless: they are used all the same. Null until it is asked for. */
  #panics: boolean | null = null;
  /** The same of whether any is ready, and of what any has said that it serves. */
  #anyReady: boolean | null = null;
  #known: ReadonlySet<string> | null = null;
  #slots: readonly number[] = [];
  /** Seconds per second of work at reference speed, as they stood at the latest view. */
  readonly #slowness = new Float64Array(slotLimit);
  #columns: FleetColumns | null = null;
  readonly #knowledge: Knowledge;

  constructor(options: FleetOptions) {
    this.prefixSeed = options.prefixSeed;
    this.ledger = new Ledger(slotLimit, options.siblings);
    this.prefixes = new PrefixIndex(options.prefixIndexBytes);
    this.#speculation = new Speculation(this.prefixes);
    const { prefixes } = this;
    this.#knowledge = {
      cached: (...asked) => this.#cachedTokens(...asked),
      prefillSeconds: (...asked) => this.#prefillSeconds(...asked),
      prefillShare: (slot, nowMs) => this.speed.prefillShare(slot, nowMs),
      lorasAt: (slot) => this.#loras[slot] ?? null,
      get blocks() {
        return prefixes.blocks;
      },
    };
  }

  /** Slots in use, in no order that matters; the same array until endpoints come or go. */
  get slots(): readonly number[] {
    return this.#slots;
  }

  endpointAt(slot: number): Endpoint | undefined {
    return this.#endpoints[slot];
  }

  endpointNamed(name: string): Endpoint | undefined {
    const slot = this.#slotByName.get(name);
    return slot === undefined ? undefined : this.#endpoints[slot];
  }

  slotOf(name: string): number | null {
    return this.#slotByName.get(name) ?? null;
  }

  /** Takes an endpoint in and gives its slot, `at` where that is given. One of the same name and address stays as it is. */
  add(endpoint: Endpoint, ready = true, at: number | null = null): number {
    const known = this.#slotByName.get(endpoint.name);
    const member = known === undefined ? undefined : this.#members[known];
    if (known !== undefined && member?.endpoint.address === endpoint.address) {
      this.#members[known] = Object.assign(member, { endpoint });
      this.#endpoints[known] = endpoint;
      this.#changed();
      this.setDeclaredReady(known, ready);
      return known;
    }
    if (known !== undefined) this.remove(endpoint.name);
    const slot = at ?? this.#freeSlot();
    if (slot >= slotLimit) throw new RangeError(`more than ${slotLimit} endpoints`);
    this.#members[slot] = {
      endpoint,
      health: new Health(),
      declaredReady: ready,
      answers: false,
      asked: false,
      models: new Map(),
      engine: null,
    };
    this.#endpoints[slot] = endpoint;
    this.#slotByName.set(endpoint.name, slot);
    this.#slots = [...this.#slotByName.values()];
    this.#changed();
    return slot;
  }

  #freeSlot(): number {
    const isFree = (tenant: Member | undefined, at: number): boolean => {
      if (tenant !== undefined) return false;
      this.ledger.refresh(at);
      return this.ledger.inFlight[at] === 0;
    };
    const slot = this.#members.findIndex(isFree);
    return slot < 0 ? this.#members.length : slot;
  }

  /** The endpoint is no more. Requests still on their way there keep the slot from being given to another. */
  remove(name: string): void {
    const slot = this.#slotByName.get(name);
    if (slot === undefined) return;
    this.#slotByName.delete(name);
    this.#slots = [...this.#slotByName.values()];
    this.#members[slot] = undefined;
    this.#endpoints[slot] = undefined;
    for (const column of [this.#waiting, this.#running, this.#othersInFlight, this.#kvUsage, this.#scrapedAtMs]) {
      column[slot] = NaN;
    }
    this.kvCapacityTokens[slot] = NaN;
    this.#loras[slot] = null;
    this.#heardAtMs[slot] = -Infinity;
    this.#busyUntilMs[slot] = 0;
    this.speed.reset(slot);
    this.ledger.setOthers(slot, noOthers);
    this.distrusts[slot] = 0;
    this.#forgetCache(slot);
    this.#changed();
  }

  #forgetCache(slot: number): void {
    this.prefixes.forget(slot);
    this.#eventKnowledge[slot] = 'none';
    this.#blockTokens[slot] = usualBlockTokens;
    this.prediction.reset(slot);
    this.onCacheLost(slot);
  }

  eventKnowledge(slot: number): EventKnowledge {
    return this.#eventKnowledge[slot] ?? 'none';
  }

  /** Tokens in a block of the endpoint's cache, as far as its events told. */
  blockTokens(slot: number): number {
    return this.#blockTokens[slot]!;
  }

  setBlockTokens(slot: number, tokens: number | null): void {
    if (tokens !== null) this.#blockTokens[slot] = tokens;
  }

  /** How far the endpoint's cache is known by events. Once it is in whole, what we sent there says nothing more. */
  setEventKnowledge(slot: number, knowledge: EventKnowledge, blockTokens: number | null): void {
    this.setBlockTokens(slot, blockTokens);
    const before = this.eventKnowledge(slot);
    if (before === knowledge) return;
    this.#eventKnowledge[slot] = knowledge;
    this.prediction.reset(slot);
    if (knowledge === 'complete') this.prefixes.forgetSent(slot);
    if (knowledge === 'none') this.prefixes.forgetStored(slot);
  }

  /** Whether any endpoint that serves the model is known by its events, so that the prompt's tokens tell more than its text. */
  hasEvents(model: string): boolean {
    return this.eligibleFor(model).some((slot) => this.eventKnowledge(slot) !== 'none');
  }

  /** The adapter that a model name stands for; null for a model itself. */
  adapterOf(model: string): string | null {
    const slot = this.eligibleFor(model)[0];
    return slot === undefined || this.modelsAt(slot).get(model)?.parent === undefined ? null : model;
  }

  setDeclaredReady(slot: number, ready: boolean): void {
    const member = this.#members[slot];
    if (member === undefined || member.declaredReady === ready) return;
    member.declaredReady = ready;
    // What it said while it was starting counts no more.
    member.asked = member.answers;
    if (!ready) this.#forgetCache(slot);
    this.#changed();
  }

  /** What `GET /v1/models` said; null when it gave no answer, which makes the endpoint not ready. */
  setModels(slot: number, models: readonly ServedModel[] | null): void {
    const member = this.#members[slot];
    if (member === undefined) return;
    member.asked = true;
    if (models === null) {
      if (member.answers) this.#forgetCache(slot);
      member.answers = false;
    } else {
      member.answers = true;
      member.models = new Map(models.map((model) => [model.id, model]));
    }
    this.#changed();
  }

  setGauges(slot: number, gauges: Gauges, nowMs: number): void {
    if (this.#members[slot] === undefined) return;
    this.#waiting[slot] = gauges.waiting;
    this.#running[slot] = gauges.running;
    this.#othersInFlight[slot] = Math.max(0, gauges.waiting + gauges.running - this.ledger.inFlight[slot]!);
    this.#kvUsage[slot] = gauges.kvUsage;
    this.#scrapedAtMs[slot] = nowMs;
    if (gauges.kvCapacityTokens > 0) {
      this.kvCapacityTokens[slot] = gauges.kvCapacityTokens;
      this.prefixes.setCapacity(slot, gauges.kvCapacityTokens);
    }
    this.#loras[slot] = gauges.loras ?? null;
  }

  /** Known, declared ready, answering and not out for failures (or used in spite of them, see `panics`). */
  isReady(slot: number): boolean {
    const member = this.#members[slot];
    if (member === undefined || !member.declaredReady || !member.answers) return false;
    return member.health.up || (member.health.alive && this.panics);
  }

  /** Why it is not ready, if it is not. */
  stateAt(slot: number): 'ready' | 'starting' | 'failing' | 'withdrawn' {
    const member = this.#members[slot];
    if (member === undefined || !member.declaredReady) return 'withdrawn';
    if (!member.health.up) return 'failing';
    return member.answers ? 'ready' : 'starting';
  }

  /** What the ready endpoint with the least prefill has still to do, in seconds; infinite without any. */
  leastQueuedPrefillSeconds(nowMs: number): number {
    let least = Infinity;
    for (const slot of this.eligibleFor('')) least = Math.min(least, this.queuedPrefillSecondsAt(slot, nowMs));
    return least;
  }

  /** Seconds from one output token to the next there, with the requests and the prefill that it has now. */
  tpotSeconds(slot: number, nowMs: number): number {
    const step = decodeCost(1, this.ledger.contextTokens[slot]!) * this.speed.slowness(slot, nowMs);
    return step / (1 - Math.min(mostPrefillShare, this.speed.prefillShare(slot, nowMs)));
  }

  /**
   * No endpoint is there that may be given requests: the pool is empty, or scaled to nothing. One that has not been asked
   * yet whether it answers is still on its way.
   */
  get isScaledToZero(): boolean {
    return !this.#members.some((member) => member?.declaredReady === true && member.asked);
  }

  /** Prefill that it has still to do, in seconds at its learned speed. */
  queuedPrefillSecondsAt(slot: number, nowMs: number): number {
    return this.ledger.queuedPrefillSeconds(slot, this.speed.slowness(slot, nowMs), nowMs);
  }

  /** Prefill that is still to be done for a request that was placed, in seconds. */
  prefillLeftSeconds({ entry, slot }: Placement, nowMs: number): number {
    return this.ledger.leftSeconds(entry, this.speed.slowness(slot, nowMs), nowMs);
  }

  /** Prompt tokens thought to be cached there, all models together. */
  cachedTokensAt(slot: number): number {
    if (this.eventKnowledge(slot) === 'complete') return this.prefixes.blocksAt(slot) * this.#blockTokens[slot]!;
    const [model = ''] = this.modelsAt(slot).keys();
    return Math.round(bytesOfBlocks(this.prefixes.blocksAt(slot)) / this.bytesPerToken.of(model));
  }

  /**
   * Most of the endpoints are out for failures of their requests although they answer `/health`: rather than heap all
   * load on the few that are left, all of them are used.
   */
  get panics(): boolean {
    if (this.#panics === null) {
      const members = this.slots
        .map((slot) => this.#members[slot]!)
        .filter((member) => member.declaredReady && member.answers);
      const alive = members.filter(({ health }) => health.alive);
      const up = alive.filter(({ health }) => health.up);
      this.#panics = up.length < alive.length && up.length < panicShare * members.length;
    }
    return this.#panics;
  }

  /** Whether the slot's endpoint answers nothing at all, so that nothing more will come of a request sent to it. */
  isGone(slot: number): boolean {
    return this.#members[slot]?.health.gone !== false;
  }

  /** Which engine it is, as its metrics tell. */
  setEngine(slot: number, engine: Engine): void {
    const member = this.#members[slot];
    if (member !== undefined) member.engine = engine;
  }

  /** Whether the slot's engine goes on with a chat's last message when told to (`continue_final_message`). */
  continuesChats(slot: number): boolean {
    const engine = this.#members[slot]?.engine;
    return engine === 'vllm' || engine === 'sglang';
  }

  /** Why the slot's endpoint is out, and for how long; null when it is not. */
  outage(slot: number, nowMs: number): { readonly reason: Failure; readonly seconds: number } | null {
    const health = this.#members[slot]?.health;
    if (health === undefined || health.out === null) return null;
    return { reason: health.out, seconds: Math.max(0, nowMs - health.sinceMs) / 1000 };
  }

  /** How often endpoints were taken out so far, by reason. */
  readonly ejections = new Map<Failure, number>();
  /** How often they were taken in again, by what had been wrong. */
  readonly returns = new Map<Failure, number>();

  isDeclaredReady(slot: number): boolean {
    return this.#members[slot]?.declaredReady === true;
  }

  modelsAt(slot: number): ReadonlyMap<string, ServedModel> {
    return this.#members[slot]?.models ?? new Map();
  }

  /** Every model some ready endpoint serves. */
  models(): Map<string, ServedModel> {
    const models = new Map<string, ServedModel>();
    for (const slot of this.slots) {
      if (!this.isReady(slot)) continue;
      for (const [id, model] of this.modelsAt(slot)) models.set(id, commonModel(model, models.get(id)));
    }
    return models;
  }

  /** Whether any endpoint, ready or not, has said that it serves `model`. */
  knowsModel(model: string): boolean {
    this.#known ??= new Set(this.#slots.flatMap((slot) => [...this.modelsAt(slot).keys()]));
    return this.#known.has(model);
  }

  /**
   * Ready endpoints that serve the model; empty: any model. The same array until they change, and one array for all models
   * that all of them serve.
   */
  eligibleFor(model: string): Int32Array {
    let slots = this.#eligible.get(model);
    if (slots === undefined) {
      const ready = this.slots.filter((slot) => this.isReady(slot) && (model === '' || this.modelsAt(slot).has(model)));
      slots = Int32Array.from(ready.sort((a, b) => a - b));
      // Most fleets serve one model.
      const all = model === '' ? slots : this.eligibleFor('');
      if (all.length === slots.length) slots = all;
      // Names of models come from clients: only those that exist are worth keeping.
      if (slots.length > 0) this.#eligible.set(model, slots);
    }
    return slots;
  }

  get anyReady(): boolean {
    return (this.#anyReady ??= this.#slots.some((slot) => this.isReady(slot)));
  }

  /** A request to the endpoint failed, or asking it did. */
  failed(slot: number, failure: Failure, nowMs: number): void {
    const member = this.#members[slot];
    if (member === undefined) return;
    if (failure === 'reset' || failure === 'timeout') this.suspect(slot);
    if (!member.health.failed(failure, nowMs)) return;
    this.onOut?.(member.endpoint.name, failure);
    this.#takenOut(slot, failure);
  }

  #takenOut(slot: number, failure: Failure): void {
    this.ejections.set(failure, (this.ejections.get(failure) ?? 0) + 1);
    // Nobody listens: the process has gone, and its cache with it.
    if (failure === 'connect') this.#forgetCache(slot);
    this.#changed();
  }

  /**
   * Another replica has taken the endpoint out. Where that is because nothing answers, it is asked from here before it
   * is believed: the way from there may be cut, and the way from here not. A thread of this process is believed.
   */
  toldOut(name: string, failure: Failure, nowMs: number, isSibling = false): void {
    const slot = this.slotOf(name);
    if (slot === null) return;
    this.suspect(slot);
    if (!isSibling && (failure === 'connect' || failure === 'unresponsive')) return;
    if (this.#members[slot]!.health.told(failure, nowMs)) this.#takenOut(slot, failure);
  }

  /** Another replica sent these blocks there. */
  sentElsewhere(name: string, hashes: BlockHashes, tokensPerBlock: number): void {
    const slot = this.slotOf(name);
    if (slot !== null) this.prefixes.addPending(hashes, slot, tokensPerBlock);
  }

  /** They were not computed there after all. */
  withdrawnElsewhere(name: string, hashes: BlockHashes): void {
    const slot = this.slotOf(name);
    if (slot !== null) this.prefixes.withdraw(hashes, slot);
  }

  /** The endpoint said that it is busy: others come first for a moment. */
  busy(slot: number, nowMs: number): void {
    if (this.#members[slot] === undefined) return;
    this.suspect(slot);
    this.#busyUntilMs[slot] = nowMs + busyMs;
    this.#anyBusyUntilMs = nowMs + busyMs;
  }

  /** Something came from the endpoint in answer to a request at `atMs`. */
  heard(slot: number, atMs: number): void {
    if (atMs > this.#heardAtMs[slot]!) this.#heardAtMs[slot] = atMs;
  }

  /** When something last came from the endpoint; -Infinity: never. */
  heardAtMs(slot: number): number {
    return this.#heardAtMs[slot]!;
  }

  succeeded(slot: number): void {
    const member = this.#members[slot];
    if (member === undefined) return;
    const { out } = member.health;
    member.health.succeeded();
    this.#returned(out);
    if (out !== null) this.#changed();
  }

  probeIsDue(slot: number, nowMs: number): boolean {
    const member = this.#members[slot];
    return member !== undefined && member.declaredReady && member.health.probeIsDue(nowMs, !this.anyReady);
  }

  /** What asking an endpoint that was out came to. */
  probed(slot: number, result: ProbeResult, nowMs: number): void {
    const member = this.#members[slot];
    if (member === undefined) return;
    if (result === 'refused' && member.health.out !== 'connect') this.#forgetCache(slot);
    const { out } = member.health;
    member.health.probed(result, nowMs);
    if (member.health.up) this.#returned(out);
    this.#changed();
  }

  #returned(from: Failure | null): void {
    if (from !== null) this.returns.set(from, (this.returns.get(from) ?? 0) + 1);
  }

  /** Something there went wrong in a way that another look explains. */
  suspect(slot: number): void {
    this.#suspects.add(slot);
  }

  /** Slots to look at again; asking empties the list. */
  takeSuspects(): number[] {
    const slots = [...this.#suspects];
    this.#suspects.clear();
    return slots;
  }

  /** The engine behind the slot was started anew: what it had cached is gone. */
  restarted(slot: number): void {
    this.#forgetCache(slot);
    this.speed.reset(slot);
  }

  /** What engines say of themselves, by slot; NaN where they do not. */
  get gauges(): Readonly<Record<'waiting' | 'running' | 'kvUsage' | 'scrapedAtMs', Float64Array>> {
    const [waiting, running, kvUsage, scrapedAtMs] = [this.#waiting, this.#running, this.#kvUsage, this.#scrapedAtMs];
    return { waiting, running, kvUsage, scrapedAtMs };
  }

  /** The fleet as one request sees it now. `model` empty: any will do. */
  view(model: string, promptTokens: number, key: PrefixKey, nowMs: number, tried: ReadonlySet<number>): RequestView {
    let eligible = this.eligibleFor(model);
    if (tried.size > 0) eligible = eligible.filter((slot) => !tried.has(slot));
    if (nowMs < this.#anyBusyUntilMs) {
      const idle = eligible.filter((slot) => nowMs >= this.#busyUntilMs[slot]!);
      if (idle.length > 0) eligible = idle;
    }
    for (const slot of eligible) {
      const slowness = this.speed.slowness(slot, nowMs);
      this.#slowness[slot] = slowness;
      this.#queuedPrefillSeconds[slot] = this.ledger.queuedPrefillSeconds(slot, slowness, nowMs);
      this.#gaugeAgeMs[slot] = nowMs - this.#scrapedAtMs[slot]!;
    }
    this.#speculation.expire(nowMs);
    return new RequestView(this.#allColumns(), this.#knowledge, model, promptTokens, key, eligible, nowMs);
  }

  /** What the columns say of ready endpoints now, seconds of prefill left aside: those take most of the time of a view. */
  levels(nowMs: number): Omit<FleetColumns, 'queuedPrefillSeconds'> {
    for (const slot of this.eligibleFor('')) {
      this.ledger.refresh(slot);
      this.#gaugeAgeMs[slot] = nowMs - this.#scrapedAtMs[slot]!;
    }
    return this.#allColumns();
  }

  #allColumns(): FleetColumns {
    return (this.#columns ??= {
      endpoints: this.#endpoints,
      inFlight: this.ledger.inFlight,
      queuedPrefillTokens: this.ledger.queuedPrefillTokens,
      queuedPrefillSeconds: this.#queuedPrefillSeconds,
      waiting: this.#waiting,
      running: this.#running,
      othersInFlight: this.#othersInFlight,
      kvUsage: this.#kvUsage,
      gaugeAgeMs: this.#gaugeAgeMs,
      speed: this.speed.relative,
      contextTokens: this.ledger.contextTokens,
    });
  }

  /** Counts a pick: from here on others see it. */
  place(request: PlacedRequest, key: PrefixKey, slot: number, cachedTokens: number, nowMs: number): Placement {
    const uncached = Math.max(0, request.promptTokens - cachedTokens);
    const { promptTokens, streaming } = request;
    const own = prefillCost(uncached, promptTokens - uncached);
    const ahead = this.ledger.queuedCost(slot);
    const work = { promptTokens, uncachedTokens: uncached, prefillCost: own, streaming };
    const entry = this.ledger.open(slot, work, nowMs);
    return this.#placement(request, entry, key, cachedTokens, ahead + own, nowMs);
  }

  /** Counts a pick for the answer alone: the prompt is computed elsewhere, and what is not cached there comes over. */
  placeDecode(request: PlacedRequest, key: PrefixKey, slot: number, cachedTokens: number, nowMs: number): Placement {
    const { promptTokens, streaming } = request;
    const work = { promptTokens, uncachedTokens: 0, prefillCost: 0, streaming };
    return this.#placement(request, this.ledger.open(slot, work, nowMs), key, cachedTokens, 0, nowMs);
  }

  #placement(
    { model, promptTokens }: PlacedRequest,
    entry: Entry,
    key: PrefixKey,
    cachedTokens: number,
    prefillCost: number,
    nowMs: number,
  ): Placement {
    const { slot } = entry;
    const hashes = this.#hashesAt(key, slot);
    const tokensPerBlock = this.#tokensPerBlockAt(key, slot, promptTokens);
    this.#tellSent(hashes, this.prefixes.addPending(hashes, slot, tokensPerBlock), slot, tokensPerBlock);
    const hit = Math.min(hashes.low.length, Math.round(cachedTokens / tokensPerBlock)) - 1;
    if (hit >= 0) this.hotPrefixes.hit(hashes.low[hit]!, hashes.high[hit]!, model, cachedTokens, nowMs);
    return {
      slot,
      entry,
      key,
      hashes,
      cachedTokens,
      byEvents: key.tokens !== undefined && this.eventKnowledge(slot) === 'complete',
      prefillCost,
      placedAtMs: nowMs,
      member: this.#members[slot]!,
    };
  }

  #hashesAt(key: PrefixKey, slot: number): BlockHashes {
    return key.tokens?.inBlocksOf(this.#blockTokens[slot]!) ?? key.hashes;
  }

  #tokensPerBlockAt(key: PrefixKey, slot: number, promptTokens: number): number {
    return key.tokens === undefined ? tokensPerBlock(key, promptTokens) : this.#blockTokens[slot]!;
  }

  /** The first token of a stream: the endpoint has computed the prompt. */
  prefilled(placement: Placement, nowMs: number): void {
    const seen = this.ledger.prefilled(placement.entry, nowMs);
    if (seen !== null) {
      const done = { slot: placement.slot, ...seen, doneAtMs: nowMs };
      this.prefills.saw(done);
      this.onPrefilled?.(done);
    }
    this.#confirm(placement, placement.hashes, nowMs);
  }

  /**
   * A request that was answered in full has ended. `completionTokens` and `answer`, the blocks that the answer adds to
   * the prompt's, where known.
   */
  answered(placement: Placement, completionTokens: number | null, answer: BlockHashes | null, nowMs: number): void {
    const { slot, entry } = placement;
    if (!entry.streaming && completionTokens !== null && placement.prefillCost > 0) {
      const cost = placement.prefillCost + decodeCost(completionTokens, this.ledger.contextTokens[slot]!);
      this.speed.observeAnswer(slot, cost, (nowMs - placement.placedAtMs) / 1000, nowMs);
    }
    this.ledger.close(entry, nowMs);
    this.#confirm(placement, placement.hashes, nowMs);
    if (answer !== null && answer.low.length > 0) this.#confirm(placement, answer, nowMs);
  }

  /** The endpoint has done its part: what it computed stays cached there. */
  ended(placement: Placement, nowMs: number): void {
    this.ledger.close(placement.entry, nowMs);
    this.#confirm(placement, placement.hashes, nowMs);
  }

  #confirm(placement: Placement, hashes: BlockHashes, nowMs: number): void {
    const { key, entry, slot } = placement;
    if (!this.isCurrent(placement)) return;
    if (key.tokens !== undefined && this.eventKnowledge(slot) === 'complete') {
      this.#speculation.computed(hashes, slot, nowMs);
      return;
    }
    const tokensPerBlock = this.#tokensPerBlockAt(key, slot, entry.promptTokens);
    this.#tellSent(hashes, this.prefixes.confirm(hashes, slot, tokensPerBlock), slot, tokensPerBlock);
  }

  /** Of `hashes`, all but the first `known` are new to the slot. Where engines tell what they have, everybody hears them. */
  #tellSent(hashes: BlockHashes, known: number, slot: number, tokensPerBlock: number): void {
    if (this.onSent === null || known >= hashes.low.length || this.eventKnowledge(slot) === 'complete') return;
    const added = { low: hashes.low.subarray(known), high: hashes.high.subarray(known) };
    this.onSent(this.#endpoints[slot]!.name, added, tokensPerBlock, false);
  }

  /** What the engine says it had cached of a prompt, against what was predicted. */
  reported(placement: Placement, cachedTokens: number, promptTokens: number): void {
    const { slot } = placement;
    if (!this.isCurrent(placement)) return;
    this.prediction.observe(slot, placement.cachedTokens, cachedTokens, promptTokens);
    if (!placement.byEvents || !this.prediction.disagrees(slot)) return;
    this.prediction.reset(slot);
    this.distrusts[slot]! += 1;
    this.onDistrust(slot);
  }

  /** The request came to nothing there. */
  withdraw(placement: Placement, nowMs: number): void {
    this.ledger.close(placement.entry, nowMs);
    if (!this.isCurrent(placement)) return;
    const { hashes, slot } = placement;
    this.prefixes.withdraw(hashes, slot);
    this.onSent?.(this.#endpoints[slot]!.name, hashes, 0, true);
  }

  /** Whether the slot is still that of the endpoint that the request was placed on. */
  isCurrent(placement: Placement): boolean {
    return this.#members[placement.slot] === placement.member;
  }

  /** Membership, readiness or health of an endpoint is another than it was. */
  #changed(): void {
    this.#eligible.clear();
    this.#panics = null;
    this.#anyReady = null;
    this.#known = null;
  }

  #cachedTokens(model: string, promptTokens: number, key: PrefixKey, eligible: Int32Array): Cached {
    const tokens = passingNumbers(this.#endpoints.length);
    if (key.tokens !== undefined) return this.#cachedTokensByIds(key.tokens, eligible, tokens);
    if (key.hashes.low.length === 0) return { tokens, useful: tokens };
    this.prefixes.longestRuns(key.hashes, tokens);
    const bytesPerToken = promptTokens > 0 ? key.promptBytes / promptTokens : this.bytesPerToken.of(model);
    for (let slot = 0; slot < tokens.length; slot++) {
      tokens[slot] = Math.min(promptTokens, Math.floor(bytesOfBlocks(tokens[slot]!) / bytesPerToken));
    }
    return { tokens, useful: tokens };
  }

  /** A look-up for each block size among the endpoints, mostly one. */
  #cachedTokensByIds(chains: TokenChains, eligible: Int32Array, tokens: Float64Array): Cached {
    const useful = passingNumbers(tokens.length);
    const runs = passingNumbers(tokens.length);
    const slowerRuns = passingNumbers(tokens.length);
    const sizes = new Set<number>();
    for (const slot of eligible) sizes.add(this.#blockTokens[slot]!);
    for (const size of sizes) {
      this.prefixes.longestRuns(chains.inBlocksOf(size), runs, slowerRuns);
      // The last token is always computed, or there would be nothing to answer from.
      const most = Math.floor((chains.count - 1) / size) * size;
      for (const slot of eligible) {
        if (this.#blockTokens[slot] !== size) continue;
        tokens[slot] = Math.min(most, runs[slot]! * size);
        useful[slot] = tokens[slot]! - slowerTierCost * Math.min(tokens[slot]!, slowerRuns[slot]! * size);
      }
    }
    return { tokens, useful };
  }

  /** With the speeds of the latest view. */
  #prefillSeconds(eligible: Int32Array, promptTokens: number, cached: Cached): Float64Array {
    const seconds = passingNumbers(this.#endpoints.length);
    for (const slot of eligible) {
      const hit = cached.useful[slot]!;
      seconds[slot] = prefillCost(promptTokens - hit, hit) * this.#slowness[slot]!;
    }
    return seconds;
  }
}
