import { z } from 'zod';

/** Where one rank of an engine publishes its KV events. */
export interface EventSource {
  readonly rank: number;
  /** ZeroMQ address of the publisher, e.g. `tcp://10.0.0.7:5557`. */
  readonly endpoint: string;
  /** Where it answers with what it published before; null when nowhere. */
  readonly replayEndpoint: string | null;
  /** Prefix of the topics to hear; empty for all. */
  readonly topic: string;
}

/** Sources as configuration has them, for engines that do not say: `*` stands for the engine's own host. */
export interface ConfiguredSource {
  readonly endpoint: string;
  readonly replayEndpoint?: string | undefined;
  readonly topic?: string | undefined;
}

const vllmSources = z.record(
  z.string(),
  z.looseObject({
    enable_kv_cache_events: z.boolean().optional(),
    publisher: z.string().optional(),
    endpoint: z.string(),
    replay_endpoint: z.string().nullish(),
  }),
);

/** What vLLM answers at `/kv_event_sources`, by data-parallel rank; empty when events are off, null when it is no such answer. */
export function sourcesOfVllm(body: string, host: string): EventSource[] | null {
  const parsed = vllmSources.safeParse(json(body));
  if (!parsed.success) return null;
  return Object.entries(parsed.data).flatMap(([rank, source]) => {
    if (source.enable_kv_cache_events === false || (source.publisher ?? 'zmq') !== 'zmq') return [];
    const { endpoint, replay_endpoint: replay } = source;
    return [sourceOf(Number(rank), host, { endpoint, replayEndpoint: replay ?? undefined })];
  });
}

const sglangInfo = z.looseObject({
  kv_events: z
    .looseObject({
      publisher: z.string().nullish(),
      endpoint_host: z.string().nullish(),
      endpoint_port_base: z.number().int(),
      dp_size: z.number().int().min(1).max(1024).default(1),
      replay_endpoint_port_base: z.number().int().nullish(),
    })
    .nullish(),
});

/** What SGLang answers at `/server_info`: rank r publishes at the base port + r. */
export function sourcesOfSglang(body: string, host: string): EventSource[] | null {
  const parsed = sglangInfo.safeParse(json(body));
  if (!parsed.success) return null;
  const events = parsed.data.kv_events;
  if (events === null || events === undefined || (events.publisher ?? 'zmq') !== 'zmq') return [];
  const replayBase = events.replay_endpoint_port_base;
  return Array.from({ length: events.dp_size }, (_, rank) =>
    sourceOf(rank, host, {
      endpoint: `tcp://${events.endpoint_host ?? '*'}:${events.endpoint_port_base + rank}`,
      replayEndpoint: replayBase === null || replayBase === undefined ? undefined : `tcp://*:${replayBase + rank}`,
    }),
  );
}

/** The source that configuration names for every engine. */
export function sourceOf(rank: number, host: string, configured: ConfiguredSource): EventSource {
  const { endpoint, replayEndpoint, topic } = configured;
  return {
    rank,
    endpoint: reachable(endpoint, host),
    replayEndpoint: replayEndpoint === undefined ? null : reachable(replayEndpoint, host),
    topic: topic ?? '',
  };
}

/** An address that is listened on, as others reach it: every interface of the engine's machine is its host's. */
function reachable(address: string, host: string): string {
  return address.replace(/^tcp:\/\/(\*|0\.0\.0\.0|\[::\]|::)(?=:\d+$)/, () => `tcp://${host}`);
}

function json(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
