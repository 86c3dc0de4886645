import { z } from 'zod';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { startEngineServer } from '../engine/server/engine-server.ts';
import { parseKvEventsConfig, type KvEventsFormat } from '../engine/server/kv-events.ts';
import { defaultProfileName, hardwareProfiles } from '../engine/model/profiles.ts';

interface Options {
  model: string;
  servedModelName?: string[];
  host: string;
  port: number;
  profile: string;
  blockSize: number;
  maxModelLen: number;
  maxNumSeqs?: number;
  maxNumBatchedTokens?: number;
  numGpuBlocksOverride?: number;
  maxNumQueuedReqs?: number;
  enablePrefixCaching: boolean;
  kvEventsConfig?: string;
  kvEventsFormat: KvEventsFormat;
  enableLora?: true;
  loraModules: { name: string; path: string }[];
  maxLoras: number;
  seed: number;
  mode: 'text' | 'echo';
  timeScale: number;
  startupDuration: number;
  legacyMetricNames?: boolean;
  kvTransferConfig?: KvTransferConfig;
  dataParallelSize: number;
  stopStreamAfterChunks?: number;
  slowness?: number;
}

export function engineCommand(): Command {
  return new Command('engine')
    .description('Run a simulated vLLM engine: its HTTP API, metrics and timing, without a GPU. Any model name works.')
    .option('--model <name>', 'model to serve', 'meta-llama/Llama-3.2-3B-Instruct')
    .option('--served-model-name <names...>', 'names it is served under')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber, 8000)
    .addOption(
      new Option('--profile <name>', 'hardware to be as fast as')
        .choices(Object.keys(hardwareProfiles))
        .default(defaultProfileName),
    )
    .option('--block-size <tokens>', 'tokens in a KV-cache block', positive, 16)
    .option('--max-model-len <tokens>', 'longest prompt and answer together', positive, 131_072)
    .option('--max-num-seqs <number>', 'requests that run at once', positive)
    .option('--max-num-batched-tokens <number>', 'tokens of one step', positive)
    .option('--num-gpu-blocks-override <number>', 'size of the KV cache in blocks', positive)
    .option('--max-num-queued-reqs <number>', 'requests that may wait; more get 503', wholeNumber)
    .option('--enable-prefix-caching', 'keep the KV cache of past prompts', true)
    .option('--no-enable-prefix-caching', 'do not keep it')
    .option(
      '--kv-events-config <json>',
      'publish KV events, e.g. {"enable_kv_cache_events":true,"endpoint":"tcp://*:5557"}',
    )
    .addOption(
      new Option('--kv-events-format <format>', 'a map per event, or an array as vLLM before 0.24')
        .choices(['map', 'array'])
        .default('map'),
    )
    .option('--enable-lora', 'serve adapters beside the model')
    .option('--lora-modules <name=path...>', 'adapters to serve from the start', loraModules, [])
    .option('--max-loras <number>', 'adapters that run at once', positive, 1)
    .option('--seed <number>', 'what it says is a function of model, seed and prompt', wholeNumber, 0)
    .addOption(new Option('--mode <mode>', 'what it says').choices(['text', 'echo']).default('text'))
    .option('--time-scale <factor>', 'times faster than the hardware', positiveNumber, 1)
    .option('--startup-duration <seconds>', 'answer 503 for so long, as while loading weights', nonNegative, 0)
    .option(
      '--kv-transfer-config <json>',
      "hand caches to other engines and take theirs; vLLM's form",
      kvTransferConfig,
    )
    .option('--data-parallel-size <ranks>', 'engines behind this address, each with a KV cache of its own', positive, 1)
    .option('--legacy-metric-names', 'also expose the metric names of vLLM before 0.11')
    .option('--stop-stream-after-chunks <number>', 'failure: cut streams after so many chunks', wholeNumber)
    .option('--slowness <factor>', 'failure: times slower than the hardware', positiveNumber)
    .action(async (options: Options) => {
      if (options.dataParallelSize > 1 && options.kvTransferConfig !== undefined) {
        throw new SignalboxError('usage', '--data-parallel-size and --kv-transfer-config cannot be simulated together');
      }
      const server = await startEngineServer({
        model: options.model,
        ...(options.servedModelName === undefined ? {} : { servedModelNames: options.servedModelName }),
        host: options.host,
        port: options.port,
        profile: options.profile,
        blockSize: options.blockSize,
        maxModelLen: options.maxModelLen,
        ...(options.maxNumSeqs === undefined ? {} : { maxNumSeqs: options.maxNumSeqs }),
        ...(options.maxNumBatchedTokens === undefined ? {} : { maxNumBatchedTokens: options.maxNumBatchedTokens }),
        ...(options.numGpuBlocksOverride === undefined
          ? {}
          : { kvCacheTokens: options.numGpuBlocksOverride * options.blockSize }),
        ...(options.maxNumQueuedReqs === undefined ? {} : { maxQueuedRequests: options.maxNumQueuedReqs }),
        prefixCaching: options.enablePrefixCaching,
        ...(options.kvEventsConfig === undefined ? {} : { kvEvents: parseKvEventsConfig(options.kvEventsConfig) }),
        kvEventsFormat: options.kvEventsFormat,
        enableLora: options.enableLora ?? false,
        loraModules: options.loraModules,
        maxLoras: options.maxLoras,
        seed: options.seed,
        mode: options.mode,
        timeScale: options.timeScale,
        startupSeconds: options.startupDuration,
        ...(options.kvTransferConfig === undefined ? {} : { kvTransfer: kvTransferOf(options.kvTransferConfig) }),
        dataParallelSize: options.dataParallelSize,
        legacyMetricNames: options.legacyMetricNames ?? false,
        failures: {
          stopStreamAfterChunks: options.stopStreamAfterChunks ?? null,
          slowness: options.slowness ?? 1,
        },
        log: (line) => process.stdout.write(`${line}\n`),
      });
      let leaving = false;
      const leave = (): void => {
        if (leaving) process.exit(1);
        leaving = true;
        void server.drain().then(() => process.exit(0));
      };
      process.on('SIGTERM', leave);
      process.on('SIGINT', leave);
    });
}

type KvTransferConfig = z.infer<typeof kvTransferSchema>;

const kvTransferSchema = z.looseObject({
  kv_connector: z.string(),
  kv_connector_extra_config: z.looseObject({ kv_lease_duration: z.number().positive().optional() }).optional(),
});

function kvTransferConfig(text: string): KvTransferConfig {
  try {
    return kvTransferSchema.parse(JSON.parse(text));
  } catch {
    throw new InvalidArgumentError('expected JSON with kv_connector, as in {"kv_connector":"NixlConnector"}.');
  }
}

/** Where others find it is told as vLLM is told. */
function kvTransferOf(config: KvTransferConfig): { host?: string; leaseSeconds?: number } {
  const host = process.env['VLLM_NIXL_SIDE_CHANNEL_HOST'];
  const leaseSeconds = config.kv_connector_extra_config?.kv_lease_duration;
  return { ...(host === undefined ? {} : { host }), ...(leaseSeconds === undefined ? {} : { leaseSeconds }) };
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

function loraModules(text: string, before: { name: string; path: string }[]): { name: string; path: string }[] {
  const [name, path] = text.split('=', 2);
  if (!name || !path) throw new InvalidArgumentError('expected name=path.');
  return [...before, { name, path }];
}

function positive(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('expected a whole number of at least 1.');
  return number;
}

function nonNegative(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0)) throw new InvalidArgumentError('expected a number of at least 0.');
  return number;
}

function positiveNumber(text: string): number {
  const number = nonNegative(text);
  if (number === 0) throw new InvalidArgumentError('expected a number above 0.');
  return number;
}
