import type { Command } from 'commander';
import type { ConfiguredSource } from '../fleet/kv-events/event-source.ts';

/** What these options are parsed into. */
export interface KvEventsFlags {
  kvEventsEndpoint?: string;
  kvEventsReplayEndpoint?: string;
}

/** For engines that do not say themselves where they publish their KV events (vLLM before `/kv_event_sources`). */
export function withKvEventsOptions(command: Command): Command {
  return command
    .option('--kv-events-endpoint <address>', "where engines publish KV events that do not say so, e.g. 'tcp://*:5557'")
    .option('--kv-events-replay-endpoint <address>', "where they send past ones again, e.g. 'tcp://*:5558'");
}

export function kvEventsOf(flags: KvEventsFlags): { kvEvents?: ConfiguredSource } {
  const { kvEventsEndpoint: endpoint, kvEventsReplayEndpoint: replayEndpoint } = flags;
  return endpoint === undefined ? {} : { kvEvents: { endpoint, replayEndpoint } };
}
