import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Fleet } from '../fleet.ts';
import type { HttpGetter } from '../http-get.ts';
import { EngineCache } from './engine-cache.ts';
import { sourceOf, sourcesOfSglang, sourcesOfVllm, type ConfiguredSource, type EventSource } from './event-source.ts';
import { EventStream } from './event-stream.ts';

interface KvEventsOptions {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly http: HttpGetter;
  readonly log: Logger;
  /** For engines that do not say themselves where they publish. */
  readonly configured?: ConfiguredSource | undefined;
  /** Memory for engines' own hashes, all endpoints together. */
  readonly limitBytes?: number;
}

/** One endpoint whose events are, or could be, followed. */
interface Followed {
  readonly slot: number;
  readonly name: string;
  readonly address: string;
  streams: EventStream[];
  cache: EngineCache | null;
  isAsking: boolean;
  askAtMs: number;
  /** Blocks stored when its knowledge last became partial. */
  partialSinceStored: number;
  isPartial: boolean;
  /** When its events were last found to be wrong, and for how long they were not believed then. */
  distrustedAtMs: number;
  ignoredMs: number;
}

/** What is heard from one endpoint, for people. */
interface EventsStatus {
  readonly connected: boolean;
  readonly complete: boolean;
  readonly replay: boolean;
  readonly sources: readonly string[];
  readonly blocks: number;
  readonly bytes: number;
  readonly blockTokens: number | null;
  readonly stored: number;
  readonly removed: number;
  readonly cleared: number;
  readonly orphaned: number;
  readonly gaps: number;
  readonly restarts: number;
  readonly replayed: number;
  readonly unreadable: number;
  readonly problem: string | null;
}

const tickMs = 200;
const askTimeoutMs = 2000;
/** Engines that publish nothing are asked again so often: theirs may be others tomorrow, behind the same address. */
const askAgainMs = 30_000;
const askAfterFailureMs = 1000;
/** Wrong once more within this time, events are not believed for a while, each time for twice as long. */
const soonAgainMs = 600_000;
const shortestIgnoredMs = 60_000;
const longestIgnoredMs = 3_600_000;
const defaultLimitBytes = 128 * 1024 * 1024;
/** Ranks are told apart by the endpoint's name. */
const rankSuffix = /-rank-(\d+)$/;

/** Follows the KV events of every endpoint that has them, and tells the fleet how far each is known by them. */
export class KvEvents {
  readonly #options: KvEventsOptions;
  readonly #followed = new Map<number, Followed>();
  #timer: Timer | null = null;

  constructor(options: KvEventsOptions) {
    this.#options = options;
    options.fleet.onCacheLost = (slot) => this.#lost(slot);
    options.fleet.onDistrust = (slot) => this.#distrust(slot);
  }

  start(): void {
    this.#tick();
  }

  close(): void {
    this.#timer?.cancel();
    for (const followed of this.#followed.values()) stopStreams(followed);
    this.#followed.clear();
  }

  /** What is heard from the endpoint in `slot`; null where it publishes nothing. */
  status(slot: number): EventsStatus | null {
    const followed = this.#followed.get(slot);
    if (followed === undefined || followed.cache === null) return null;
    const { streams, cache } = followed;
    const sum = (value: (stream: EventStream) => number): number =>
      streams.reduce((total, stream) => total + value(stream), 0);
    return {
      connected: streams.every((stream) => stream.isConnected),
      complete: streams.every((stream) => stream.isComplete),
      replay: streams.every(({ source }) => source.replayEndpoint !== null),
      sources: streams.map(({ source }) => source.endpoint),
      blocks: cache.blocks,
      bytes: cache.bytes,
      blockTokens: cache.blockTokens,
      ...cache.counts,
      gaps: sum(({ sequence }) => sequence.counts.gaps),
      restarts: sum(({ sequence }) => sequence.counts.restarts),
      replayed: sum(({ sequence }) => sequence.counts.replayed),
      unreadable: sum(({ unreadable }) => unreadable),
      problem: streams.find(({ problem }) => problem !== null)?.problem ?? null,
    };
  }

  #tick(): void {
    const { fleet, clock } = this.#options;
    const nowMs = clock.nowMs();
    for (const slot of fleet.slots) {
      if (!fleet.isReady(slot)) continue;
      const followed = this.#followedAt(slot, nowMs);
      if (followed.streams.length > 0) this.#turnOver(followed);
      else if (!followed.isAsking && nowMs >= followed.askAtMs) void this.#ask(followed);
    }
    this.#timer = clock.after(tickMs, () => this.#tick());
  }

  #followedAt(slot: number, nowMs: number): Followed {
    const { name, address } = this.#options.fleet.endpointAt(slot)!;
    const known = this.#followed.get(slot);
    if (known !== undefined) return known;
    const followed: Followed = {
      slot,
      name,
      address,
      streams: [],
      cache: null,
      isAsking: false,
      askAtMs: nowMs,
      partialSinceStored: 0,
      isPartial: false,
      distrustedAtMs: -Infinity,
      ignoredMs: 0,
    };
    this.#followed.set(slot, followed);
    return followed;
  }

  async #ask(followed: Followed): Promise<void> {
    const { clock } = this.#options;
    followed.isAsking = true;
    let sources: EventSource[] | null = null;
    try {
      sources = await this.#sourcesOf(followed);
    } catch {
      // It does not answer; asked again.
    }
    followed.isAsking = false;
    if (this.#followed.get(followed.slot) !== followed) return;
    followed.askAtMs = clock.nowMs() + (sources === null ? askAfterFailureMs : askAgainMs);
    if (sources !== null && sources.length > 0) this.#follow(followed, sources);
  }

  /** Null when nothing was learned. */
  async #sourcesOf({ name, address }: Followed): Promise<EventSource[] | null> {
    const { http, configured } = this.#options;
    const host = address.slice(0, address.lastIndexOf(':'));
    const rank = rankSuffix.exec(name)?.[1];
    const ofRank = (sources: EventSource[]): EventSource[] =>
      rank === undefined ? sources : sources.filter((source) => source.rank === Number(rank));
    for (const [path, read] of [
      ['/kv_event_sources', sourcesOfVllm],
      ['/server_info', sourcesOfSglang],
    ] as const) {
      const { status, body } = await http.get(address, path, askTimeoutMs);
      if (status >= 500) return null;
      const sources = status === 200 ? read(body, host) : null;
      if (sources !== null && sources.length > 0) return ofRank(sources);
    }
    return configured === undefined ? [] : [sourceOf(Number(rank ?? 0), host, configured)];
  }

  #follow(followed: Followed, sources: readonly EventSource[]): void {
    const { fleet, clock, log, limitBytes } = this.#options;
    const { slot, name } = followed;
    const limit = (limitBytes ?? defaultLimitBytes) / Math.max(1, fleet.slots.length * sources.length);
    const cache = new EngineCache(fleet.prefixes, slot, fleet.prefixSeed, limit);
    followed.cache = cache;
    followed.isPartial = false;
    const changed = (): void => {
      if (this.#followed.get(slot) === followed) this.#tell(followed);
    };
    followed.streams = sources.map((source) => {
      const handler = cache.rank(source.rank);
      return new EventStream(source, clock, {
        ...handler,
        stored: (blocks) => {
          handler.stored(blocks);
          fleet.setBlockTokens(slot, cache.blockTokens);
        },
        forgotten: () => cache.forget(source.rank),
        changed,
      });
    });
    log.info({ endpoint: name, sources: sources.map(({ endpoint }) => endpoint) }, 'following KV events');
  }

  #tell(followed: Followed): void {
    const { fleet } = this.#options;
    const { streams, cache, slot } = followed;
    const isComplete = streams.every((stream) => stream.isComplete);
    fleet.setEventKnowledge(slot, isComplete ? 'complete' : 'partial', cache?.blockTokens ?? null);
    if (!isComplete && !followed.isPartial) followed.partialSinceStored = cache?.counts.stored ?? 0;
    followed.isPartial = !isComplete;
  }

  /**
   * An engine without replay, whose past is not known: once it has stored as much as it can hold, what it had before has
   * made room, and nothing is unknown any more.
   */
  #turnOver(followed: Followed): void {
    const { fleet } = this.#options;
    const { cache, slot, streams } = followed;
    if (cache === null) return;
    if (!followed.isPartial || cache.blockTokens === null) return;
    const capacity = fleet.prefixes.capacityOf(slot);
    const storedTokens = (cache.counts.stored - followed.partialSinceStored) * cache.blockTokens;
    if (capacity === null || storedTokens < capacity) return;
    for (const { sequence, source } of streams) if (source.replayEndpoint === null) sequence.completeness = 'complete';
    this.#tell(followed);
  }

  /** The endpoint has gone, or its engine was started anew: what was heard is of another life, perhaps at other ports. */
  #lost(slot: number): void {
    const followed = this.#followed.get(slot);
    if (followed === undefined) return;
    this.#followed.delete(slot);
    stopStreams(followed);
  }

  /**
   * What its engine reports is not what its events say. All of it is asked for again at first; if that comes out wrong as
   * well, the events are left alone for a while, and what was sent there has to do.
   */
  #distrust(slot: number): void {
    const followed = this.#followed.get(slot);
    if (followed === undefined) return;
    const { fleet, clock, log } = this.#options;
    const nowMs = clock.nowMs();
    const isAgain = nowMs - followed.distrustedAtMs < soonAgainMs;
    followed.distrustedAtMs = nowMs;
    const endpoint = followed.name;
    if (!isAgain) {
      followed.ignoredMs = 0;
      log.warn({ endpoint }, 'its KV events differ from what it reports as cached; asking for all of them again');
      for (const stream of followed.streams) stream.startOver();
      return;
    }
    followed.ignoredMs = Math.min(longestIgnoredMs, Math.max(shortestIgnoredMs, 2 * followed.ignoredMs));
    followed.askAtMs = nowMs + followed.ignoredMs;
    // Counts from when they are heard again.
    followed.distrustedAtMs = followed.askAtMs;
    stopStreams(followed);
    followed.cache = null;
    fleet.setEventKnowledge(slot, 'none', null);
    const seconds = followed.ignoredMs / 1000;
    log.warn({ endpoint, seconds }, 'its KV events differ from what it reports as cached; not believed for a while');
  }
}

function stopStreams(followed: Followed): void {
  for (const stream of followed.streams) stream.close();
  followed.streams = [];
}
