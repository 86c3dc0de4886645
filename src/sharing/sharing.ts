import { hash } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { Keys } from '../keys/keys.ts';
import { Agreement } from './agreement.ts';
import { encodeBatch, noNews, readBatch, type News, type SealedBatch } from './batch.ts';
import type { Link, LinkHandlers } from './link.ts';
import { Outbox } from './outbox.ts';
import { Peers } from './peers.ts';
import { snapshotOf } from './snapshot.ts';

interface SharingOptions {
  /** The way to the others. */
  connect(handlers: LinkHandlers): Link;
  /** This replica's name in logs, and what tells it from others and from itself before a restart. */
  readonly name: string;
  readonly instance: string;
  readonly dispatch: Dispatch;
  readonly keys: Keys | null;
  /** Whether another is a thread of this process; none is by default. */
  isSibling?(id: string): boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What happens after a quiet while is told almost at once, so that what happens in the same moment goes with it. */
const soonMs = 5;
/**
 * From one batch to the next, and from one look at what others told to the next: who waits in a gateway waits for news,
 * but each batch costs much the same whatever is in it. Where much happens there are fewer.
 */
const calmMs = 20;
const busyMs = 50;
/** So much of it, in one batch: five requests or so. */
const muchAtOnce = 16;
/** Between two batches that say all there is. */
const fullMs = 500;
const mostStrangers = 1000;
const otherStart =
  'which prompts it has sent where is not understood here: give all replicas the same --session-key-file, or the same --share';
/** How long one that speaks another language is thought to be there. */
const otherVersionMs = 3000;
const otherVersion =
  'others here share in the way of another version of this software, and nothing is shared with them until all are of one';
/** A question at most so often. */
const questionMs = 250;

/**
 * What several gateways or endpoint pickers of one pool tell each other, by a stream of Valkey or Redis: requests on
 * their way, prompts' blocks, endpoints that fail, service by tenant and use of keys. All of it is told after the fact,
 * in batches; no request waits for it. When the stream is gone each goes on alone, and says so.
 */
export class Sharing {
  readonly id: string;
  readonly agreement = new Agreement();
  readonly #start: string;
  /** Those whose block hashes start from another secret. */
  readonly #strangers = new Set<string>();
  readonly #options: SharingOptions;
  readonly #outbox: Outbox;
  readonly #peers: Peers;
  readonly #link: Link;
  #timer: Timer | null = null;
  /** Whether it is to ring for something that happened. */
  #isDue = false;
  /** What happened since the last batch, and how long the next may wait. */
  #happened = 0;
  #paceMs = calmMs;
  #writtenAtMs = -Infinity;
  #fullAtMs = -Infinity;
  #askedAtMs = -Infinity;
  /** A question that is to be told, with what was to be told before it. */
  #asked: News | null = null;
  #isIntroduced = false;
  #otherVersionAtMs: number | null = null;
  /** Since when it has been alone; null while it is not. */
  #aloneSinceMs: number | null;
  batches = 0;
  bytes = 0;
  /** From a batch's making to its reading here, by the senders' clocks. */
  lagMs = NaN;

  constructor(options: SharingOptions) {
    const { dispatch, keys, clock } = options;
    const { fleet } = dispatch;
    this.#options = options;
    this.#start = hash('sha256', `${fleet.prefixSeed.low} ${fleet.prefixSeed.high}`).slice(0, 8);
    this.id = `${options.name}-${options.instance}`;
    this.#outbox = new Outbox(fleet, keys);
    this.#peers = new Peers(this.id, fleet, keys, (id) => this.#isSibling(id));
    this.#aloneSinceMs = clock.nowMs();
    const telling =
      <Told extends unknown[]>(note: (...told: Told) => void) =>
      (...told: Told): void => {
        note(...told);
        this.#due();
      };
    if (keys !== null) keys.onUse = () => this.#due();
    fleet.onSent = telling((...told) => this.#outbox.sent(...told));
    fleet.prefills.wait();
    fleet.onPrefilled = telling((seen) => this.#outbox.prefilled(seen));
    fleet.onOut = telling((...told) => this.#outbox.out(...told));
    dispatch.onCharge = telling((caller, tokens) => this.#outbox.charge(caller, tokens));
    dispatch.onPlaced = (request, key, decision) => {
      const nowMs = decision.nowMs;
      if (this.#asked !== null || nowMs - this.#askedAtMs < questionMs || this.peers.length === 0) return;
      const question = this.agreement.questionOf(request, key, decision);
      if (question === null) return;
      this.#askedAtMs = nowMs;
      // What was known when it was picked, and nothing of what came of it.
      this.#asked = { ...(this.#outbox.take(nowMs, false) ?? noNews), question };
      this.#due();
    };
    this.#link = options.connect({
      read: (bytes) => this.#read(bytes),
      up: () => this.#up(),
      down: (reason) => this.#down(reason),
      pauseMs: () => this.#paceMs,
    });
    this.#tick();
  }

  /** Of the others that are there. */
  get peers(): readonly string[] {
    return this.#peers.ids;
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** What keeps it from sharing, or from sharing everything. */
  get problem(): string | null {
    if (!this.isUp) return this.#link.reason;
    const otherAtMs = this.#otherVersionAtMs;
    if (otherAtMs !== null && this.#options.clock.nowMs() - otherAtMs < otherVersionMs) return otherVersion;
    const strangers = this.peers.filter((id) => this.#strangers.has(id));
    return strangers.length === 0 ? null : `${strangers.join(', ')}: ${otherStart}`;
  }

  /** Blocks that nobody was told of, because there was nobody to tell for too long. */
  get droppedBlocks(): number {
    return this.#outbox.dropped;
  }

  get aloneSeconds(): number {
    return this.#aloneSinceMs === null ? 0 : (this.#options.clock.nowMs() - this.#aloneSinceMs) / 1000;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    if (this.#link.isUp) this.#write({ ...noNews, bye: true });
    await this.#link.close();
  }

  /** There is something to tell. */
  #due(): void {
    this.#happened += 1;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#ringIn(Math.max(soonMs, this.#writtenAtMs + this.#paceMs - this.#options.clock.nowMs()));
  }

  #ringIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(ms, () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs();
    this.#isDue = false;
    this.#paceMs = this.#happened > muchAtOnce ? busyMs : calmMs;
    this.#happened = 0;
    this.#options.dispatch.fleet.prefills.settle(nowMs, 3 * this.#paceMs);
    if (this.#link.isUp) {
      this.#peers.expire(nowMs);
      this.#tell(nowMs);
    } else this.#writtenAtMs = nowMs;
    if (!this.#isDue) this.#ringIn(fullMs);
  }

  #tell(nowMs: number): void {
    if (!this.#isIntroduced && this.#options.dispatch.fleet.anyReady) {
      // Not before there is anything to remember blocks of.
      this.#isIntroduced = true;
      this.#write({ ...noNews, hello: true });
    }
    // Slower than we are: what comes meanwhile goes with the next batch.
    if (this.#link.isBusy) return this.#due();
    if (this.#asked !== null) {
      this.#write(this.#asked);
      this.#asked = null;
    }
    const isFull = nowMs - this.#fullAtMs >= fullMs;
    const news = this.#outbox.take(nowMs, isFull);
    if (news === null) return;
    if (isFull) this.#fullAtMs = nowMs;
    this.#writtenAtMs = nowMs;
    this.#write(news);
  }

  #isSibling(id: string): boolean {
    return this.#options.isSibling?.(id) === true;
  }

  #write(news: News, to: string | null = null): void {
    const batch = encodeBatch({ from: this.id, start: this.#start, atMs: this.#options.clock.epochMs(), to }, news);
    this.batches += 1;
    this.bytes += batch.length;
    this.#link.write(batch);
  }

  #read(bytes: Buffer): void {
    try {
      const batch = readBatch(bytes);
      if (batch === null) this.#isOfOtherVersion();
      else if (batch.from !== this.id && (batch.to === null || batch.to === this.id)) this.#take(batch);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#options.log.warn('another replica told something that is cut short');
    }
  }

  #take(batch: SealedBatch): void {
    const { clock, dispatch } = this.#options;
    const nowMs = clock.nowMs();
    const news = batch.open();
    const isAlike = batch.start === this.#start;
    if (batch.to !== null) {
      if (isAlike) this.#takeBlocks(news);
      return;
    }
    this.lagMs = Math.max(0, clock.epochMs() - batch.atMs);
    if (isAlike) this.#takeBlocks(news);
    else this.#isStrange(batch.from);
    const madeAtMs = this.#peers.heard(batch, news, nowMs);
    for (const { name, cost, sinceAgoMs, doneAgoMs } of news.prefilled) {
      const slot = dispatch.fleet.slotOf(name);
      const times = { sinceMs: madeAtMs - sinceAgoMs, doneAtMs: madeAtMs - doneAgoMs };
      if (slot !== null) dispatch.fleet.prefills.saw({ slot, cost, ...times });
    }
    if (isAlike && news.question !== null) this.agreement.answer(dispatch, news.question);
    const isSibling = this.#isSibling(batch.from);
    for (const [name, failure] of news.out) dispatch.fleet.toldOut(name, failure, nowMs, isSibling);
    for (const { priority, fairnessId, tokens } of news.charges)
      dispatch.chargedElsewhere(priority, fairnessId, tokens);
    if (news.hello) this.#tellAll(batch.from);
    dispatch.placeHeld();
  }

  /** Learns which blocks were sent where. */
  #takeBlocks({ sent, withdrawn }: News): void {
    const { fleet } = this.#options.dispatch;
    for (const { name, runs, tokensPerBlock } of sent) {
      for (const hashes of runs) fleet.sentElsewhere(name, hashes, tokensPerBlock);
    }
    for (const { name, runs } of withdrawn) for (const hashes of runs) fleet.withdrawnElsewhere(name, hashes);
  }

  #isOfOtherVersion(): void {
    if (this.#otherVersionAtMs === null) this.#options.log.warn(otherVersion);
    this.#otherVersionAtMs = this.#options.clock.nowMs();
  }

  #isStrange(id: string): void {
    if (this.#strangers.has(id)) return;
    if (this.#strangers.size >= mostStrangers) this.#strangers.clear();
    this.#strangers.add(id);
    this.#options.log.warn(`${id}: ${otherStart}`);
  }

  /** One of those that are there tells a new one what is cached where. */
  #tellAll(to: string): void {
    const [first = this.id] = [...this.peers.filter((id) => id !== to), this.id].sort();
    if (first !== this.id) return;
    void (async () => {
      for await (const sent of snapshotOf(this.#options.dispatch.fleet)) {
        if (!this.#link.isUp) return;
        this.#write({ ...noNews, sent }, to);
      }
    })();
  }

  #up(): void {
    const { log, clock } = this.#options;
    log.info({ replica: this.id, seconds: Math.round(this.aloneSeconds) }, 'sharing with other replicas');
    this.#aloneSinceMs = null;
    this.#isIntroduced = false;
    this.#fullAtMs = -Infinity;
    this.#peers.waitAgain(clock.nowMs());
    this.#due();
  }

  #down(reason: string): void {
    this.#aloneSinceMs = this.#options.clock.nowMs();
    this.#peers.cutOff();
    this.#options.log.warn(`alone: what other replicas know and do is not to be had (${reason})`);
  }
}
