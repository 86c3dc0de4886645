import type { KvEventsConfig } from '../../src/engine/server/kv-events.ts';

/** KV events of a simulated engine, with replay, at ports that are free. */
export const kvEventsOn: KvEventsConfig = {
  enable_kv_cache_events: true,
  publisher: 'zmq',
  endpoint: 'tcp://127.0.0.1:0',
  replay_endpoint: 'tcp://127.0.0.1:0',
  buffer_steps: 10_000,
  hwm: 100_000,
  max_queue_size: 100_000,
  topic: 'kv@here@toy',
};
