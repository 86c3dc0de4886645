import { assetPath } from '../../base/assets.ts';
import { loadTokenizer, type Tokenizer } from '../../base/bpe.ts';
import { wallClock } from '../../base/clock.ts';
import { EngineModel } from '../model/engine-model.ts';
import { defaultProfileName, hardwareProfile } from '../model/profiles.ts';
import { echoModel, wordsModel } from '../model/text.ts';
import { FailureSwitch, type Failures } from './failures.ts';
import { KvEventLog, ofRank, type KvEventsConfig, type KvEventsFormat } from './kv-events.ts';
import { KvPublisher } from './kv-publisher.ts';
import { LoraAdapters } from './lora.ts';
import { AnswerGenerator } from './generator.ts';
import { KvTransfer } from './kv-transfer.ts';
import { EngineHistograms } from './metrics.ts';

export interface EngineServerOptions {
  readonly model: string;
  readonly servedModelNames?: readonly string[];
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly profile?: string;
  readonly blockSize?: number;
  readonly maxModelLen?: number;
  readonly maxNumSeqs?: number;
  readonly maxNumBatchedTokens?: number;
  readonly kvCacheTokens?: number;
  /** Requests that may wait; more are refused. */
  readonly maxQueuedRequests?: number;
  readonly prefixCaching?: boolean;
  readonly kvEvents?: KvEventsConfig;
  readonly kvEventsFormat?: KvEventsFormat;
  readonly enableLora?: boolean;
  /** Adapters that are there from the start. */
  readonly loraModules?: readonly { readonly name: string; readonly path: string }[];
  readonly maxLoras?: number;
  readonly seed?: number;
  readonly mode?: 'text' | 'echo';
  /** Times faster than the hardware. */
  readonly timeScale?: number;
  /** Until then it answers 503, as an engine that loads its weights. */
  readonly startupSeconds?: number;
  /** Hands caches to other engines and takes them from others, found under `host`; not at all by default. */
  readonly kvTransfer?: { readonly host?: string; readonly leaseSeconds?: number };
  /** Engines behind this one address, each with a KV cache of its own; 1 by default. */
  readonly dataParallelSize?: number;
  readonly legacyMetricNames?: boolean;
  readonly failures?: Partial<Failures>;
  /** One line of log; none by default. */
  readonly log?: (line: string) => void;
  /** What dying means; ending the process by default. */
  readonly die?: () => void;
}

/** One data-parallel rank: an engine of its own behind the common address. */
export interface EngineRank {
  readonly generator: AnswerGenerator;
  readonly histograms: EngineHistograms;
  /** Null when it publishes no events. */
  readonly kvPublisher: KvPublisher | null;
}

/** Everything a route needs. */
export interface Engine {
  readonly options: EngineServerOptions;
  readonly modelNames: readonly string[];
  readonly maxModelLen: number;
  readonly tokenizer: Tokenizer;
  /** One at least. */
  readonly ranks: readonly EngineRank[];
  readonly bornSeconds: number;
  readonly failures: FailureSwitch;
  /** Null without a connector: parameters of transfers are ignored then, as vLLM does. */
  readonly kvTransfer: KvTransfer | null;
  readonly loras: LoraAdapters;
}

const tokenizeSliceChars = 32 * 1024;

/** vLLM's. */
const defaultLeaseSeconds = 30;

/** `port` is known once the engine listens. */
export async function createEngine(options: EngineServerOptions, port: () => number): Promise<Engine> {
  const tokenizer = loadTokenizer(assetPath('tokenizer/tokenizer.json'));
  const failures = new FailureSwitch();
  const ranks: EngineRank[] = [];
  for (let rank = 0; rank < (options.dataParallelSize ?? 1); rank++) {
    try {
      ranks.push(await createRank(options, tokenizer, failures, rank));
    } catch (error) {
      for (const { kvPublisher } of ranks) kvPublisher?.close();
      throw error;
    }
  }
  const { model, run } = ranks[0]!.generator;
  return {
    options,
    modelNames: options.servedModelNames?.length ? options.servedModelNames : [options.model],
    maxModelLen: Math.min(options.maxModelLen ?? 131_072, model.cache.blockCount * model.blockSize),
    tokenizer,
    ranks,
    bornSeconds: Math.floor(Date.now() / 1000),
    failures,
    kvTransfer:
      options.kvTransfer === undefined
        ? null
        : new KvTransfer({
            host: options.kvTransfer.host ?? options.host ?? '127.0.0.1',
            port,
            leaseSeconds: options.kvTransfer.leaseSeconds ?? defaultLeaseSeconds,
            letGo: (id) => {
              model.letGo(id);
              run.wake(); // others may have waited for the room
            },
          }),
    loras: new LoraAdapters(options.enableLora ?? false, options.loraModules ?? []),
  };
}

async function createRank(
  options: EngineServerOptions,
  tokenizer: Tokenizer,
  failures: FailureSwitch,
  rank: number,
): Promise<EngineRank> {
  const profile = hardwareProfile(options.profile ?? defaultProfileName);
  const blockSize = options.blockSize ?? 16;
  const { kvEvents } = options;
  const publishes = kvEvents?.enable_kv_cache_events === true && kvEvents.publisher === 'zmq';
  const kvPublisher = publishes ? await KvPublisher.start(ofRank(kvEvents, rank)) : null;
  const kvEventLog: KvEventLog | null =
    kvPublisher === null
      ? null
      : new KvEventLog(blockSize, options.kvEventsFormat ?? 'map', rank, (id) => generator.cachedTokensOf(id));
  const model = new EngineModel(profile, {
    blockSize,
    ...(kvEventLog === null ? {} : { listener: kvEventLog }),
    ...(options.maxLoras === undefined ? {} : { maxLoras: options.maxLoras }),
    prefixCaching: options.prefixCaching ?? true,
    ...(options.kvCacheTokens === undefined ? {} : { kvCacheTokens: options.kvCacheTokens }),
    ...(options.maxNumSeqs === undefined ? {} : { maxNumSeqs: options.maxNumSeqs }),
    ...(options.maxNumBatchedTokens === undefined ? {} : { maxNumBatchedTokens: options.maxNumBatchedTokens }),
  });
  const histograms = new EngineHistograms();
  const seed = options.seed ?? 0;
  const generator: AnswerGenerator = new AnswerGenerator({
    model,
    clock: wallClock,
    maxWaiting: options.maxQueuedRequests ?? Infinity,
    tokenizer,
    text: options.mode === 'echo' ? echoModel(tokenizer.bosId) : wordsModel(tokenizer, options.model, seed),
    namespace: options.model,
    timeScale: options.timeScale ?? 1,
    histograms,
    stepped: () => {
      const batch = kvEventLog?.take(Date.now() / 1000) ?? null;
      if (batch !== null && !failures.now.loseKvEvents) kvPublisher?.publish(batch);
    },
  });
  return { generator, histograms, kvPublisher };
}

/** Token ids of a prompt, a slice at a time so that running streams go on meanwhile. */
export async function tokenize(tokenizer: Tokenizer, text: string, addsBos: boolean): Promise<number[]> {
  const slices = tokenizer.encodeSlices(text, tokenizeSliceChars);
  let step = slices.next();
  while (!step.done) {
    await new Promise((next) => setImmediate(next));
    step = slices.next();
  }
  if (addsBos && tokenizer.bosId !== null) step.value.unshift(tokenizer.bosId);
  return step.value;
}
