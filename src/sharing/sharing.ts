import { hash } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { Keys } from '../keys/keys.ts';
import { Agreement } from './agreement.ts';
import { Blocks, encodeBlocks, parseBatch, type Batch, type News } from './batch.ts';
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

/** Between two batches, and between two that say all there is. */
const batchMs = 20;
const fullMs = 500;
const mostStrangers = 1000;
const otherStart =
  'which prompts it has sent where is not understood here: give all replicas the same --session-key-file, or the same --share';
/** A question at most so often. */
const questionMs = 100;

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
  #fullAtMs = -Infinity;
  #askedAtMs = -Infinity;
  #isIntroduced = false;
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
    if (keys !== null) keys.isShared = true;
    fleet.onSent = (name, hashes, tokensPerBlock, isWithdrawn) =>
      this.#outbox.sent(name, hashes, tokensPerBlock, isWithdrawn);
    fleet.prefills.wait();
    fleet.onPrefilled = (seen) => this.#outbox.prefilled(seen);
    fleet.onOut = (name, failure) => this.#outbox.out(name, failure);
    dispatch.onCharge = ({ priority, fairnessId }, tokens) => this.#outbox.charge(priority, fairnessId, tokens);
    dispatch.onPlaced = (request, key, decision) => {
      const nowMs = decision.nowMs;
      if (!this.#outbox.wantsQuestion || nowMs - this.#askedAtMs < questionMs || this.peers.length === 0) return;
      const asked = this.agreement.questionOf(request, key, decision);
      if (asked === null) return;
      this.#askedAtMs = nowMs;
      this.#outbox.ask(asked.about, asked.hashes);
    };
    this.#link = options.connect({
      read: (text, blocks) => this.#read(text, blocks),
      up: () => this.#up(),
      down: (reason) => this.#down(reason),
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
    if (this.#link.isUp) this.#write({ bye: true }, []);
    await this.#link.close();
  }

  #tick(): void {
    const { clock } = this.#options;
    this.#timer = clock.after(batchMs, () => this.#tick());
    const nowMs = clock.nowMs();
    this.#options.dispatch.fleet.prefills.settle(nowMs);
    if (!this.#link.isUp) return;
    this.#peers.expire(nowMs);
    if (!this.#isIntroduced && this.#options.dispatch.fleet.anyReady) {
      // Not before there is anything to remember blocks of.
      this.#isIntroduced = true;
      this.#write({ hello: true }, []);
    }
    // Slower than we are: what comes meanwhile goes with the next batch.
    if (this.#link.isBusy) return;
    const isFull = nowMs - this.#fullAtMs >= fullMs;
    const taken = this.#outbox.take(nowMs, isFull);
    if (taken === null) return;
    if (isFull) {
      this.#fullAtMs = nowMs;
      this.#link.touch();
    }
    this.#write(taken.batch, taken.hashes);
  }

  #isSibling(id: string): boolean {
    return this.#options.isSibling?.(id) === true;
  }

  #write(news: News, hashes: Parameters<typeof encodeBlocks>[0]): void {
    const who = { version: 2, from: this.id, start: this.#start, atMs: this.#options.clock.epochMs() };
    const text = JSON.stringify({ ...who, ...news });
    const blocks = encodeBlocks(hashes);
    this.batches += 1;
    this.bytes += text.length + blocks.length;
    this.#link.write(text, blocks);
  }

  #read(text: string, bytes: Buffer): void {
    const batch = parseBatch(text);
    if (batch === null || batch.from === this.id) return;
    const { clock, dispatch, log } = this.#options;
    const nowMs = clock.nowMs();
    try {
      if (batch.to === undefined) {
        this.lagMs = Math.max(0, clock.epochMs() - batch.atMs);
        if (batch.start === this.#start) {
          const rest = this.#blocks(batch, new Blocks(bytes));
          // Asked before anything of the batch counts: the pick that it is about is in there.
          if (batch.question !== undefined) this.agreement.answer(dispatch, batch.question, rest);
        } else this.#isStrange(batch.from);
        const madeAtMs = this.#peers.heard(batch, nowMs);
        for (const [name, cost, sinceAgoMs, doneAgoMs] of batch.prefilled) {
          const slot = dispatch.fleet.slotOf(name);
          const times = { sinceMs: madeAtMs - sinceAgoMs, doneAtMs: madeAtMs - doneAgoMs };
          if (slot !== null) dispatch.fleet.prefills.saw({ slot, cost, ...times });
        }
      } else if (batch.to === this.id && batch.start === this.#start) this.#blocks(batch, new Blocks(bytes));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      log.warn(`${batch.from} told something that is cut short`);
      return;
    }
    const isSibling = this.#isSibling(batch.from);
    for (const [name, failure] of batch.out) dispatch.fleet.toldOut(name, failure, nowMs, isSibling);
    for (const [priority, fairnessId, tokens] of batch.charges) dispatch.chargedElsewhere(priority, fairnessId, tokens);
    if (batch.hello === true) this.#tellAll(batch.from);
    dispatch.placeHeld();
  }

  #isStrange(id: string): void {
    if (this.#strangers.has(id)) return;
    if (this.#strangers.size >= mostStrangers) this.#strangers.clear();
    this.#strangers.add(id);
    this.#options.log.warn(`${id}: ${otherStart}`);
  }

  /** Learns which blocks were sent where; gives what is left. */
  #blocks({ sent, withdrawn }: Batch, blocks: Blocks): Blocks {
    const { fleet } = this.#options.dispatch;
    for (const [name, tokensPerBlock, count] of sent) fleet.sentElsewhere(name, blocks.take(count), tokensPerBlock);
    for (const [name, count] of withdrawn) fleet.withdrawnElsewhere(name, blocks.take(count));
    return blocks;
  }

  /** One of those that are there tells a new one what is cached where. */
  #tellAll(to: string): void {
    const [first = this.id] = [...this.peers.filter((id) => id !== to), this.id].sort();
    if (first !== this.id) return;
    void (async () => {
      for await (const { sent, hashes } of snapshotOf(this.#options.dispatch.fleet)) {
        if (!this.#link.isUp) return;
        this.#write({ to, sent }, hashes);
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
  }

  #down(reason: string): void {
    this.#aloneSinceMs = this.#options.clock.nowMs();
    this.#peers.cutOff();
    this.#options.log.warn(`alone: what other replicas know and do is not to be had (${reason})`);
  }
}
