import type { Traffic } from '../lib/traffic.ts';

/** One kind of traffic that every way is measured with. */
export interface Cell {
  readonly name: string;
  readonly traffic: Traffic;
  readonly connections: number;
}

const connections = 64;
const completion = { path: '/v1/completions', bodyBytes: 200, groups: 1, sharedBytes: 20, stream: false } as const;
const chat = { path: '/v1/chat/completions', stream: false } as const;
const chat8 = { ...chat, bodyBytes: 8 * 1024, groups: 32, sharedBytes: 2 * 1024 } as const;
const chat64 = { ...chat, bodyBytes: 64 * 1024, groups: 64, sharedBytes: 48 * 1024 } as const;
const chat220 = { ...chat, bodyBytes: 220 * 1024, groups: 64, sharedBytes: 160 * 1024 } as const;
const chat1024 = { ...chat, bodyBytes: 1024 * 1024, groups: 8, sharedBytes: 900 * 1024 } as const;

/** CPU per request. A stream is 50 events at once, and what ends it. */
export const busyCells: readonly Cell[] = [
  { name: 'A', traffic: completion, connections },
  { name: 'As', traffic: { ...completion, stream: true }, connections },
  { name: 'B', traffic: chat8, connections },
  { name: 'Bs', traffic: { ...chat8, stream: true }, connections },
  { name: 'C', traffic: chat64, connections },
  { name: 'Cs', traffic: { ...chat64, stream: true }, connections },
];

/** CPU per chunk: 50 events, one every 20 ms. */
export const pacedCell: Cell = { name: 'paced', traffic: { ...completion, stream: true, paced: true }, connections };
export const pacedChunks = 50;

/** Added latency: one connection. */
export const aloneCells: readonly Cell[] = [
  { name: 'A', traffic: completion, connections: 1 },
  { name: 'B', traffic: chat8, connections: 1 },
  { name: 'C', traffic: chat64, connections: 1 },
];

/** Larger bodies, and prompts that are all known, or none. */
export const corpusCells: readonly Cell[] = [
  { name: '220 KB', traffic: chat220, connections: 16 },
  { name: '1 MB', traffic: chat1024, connections: 16 },
  { name: '8 KB, hot', traffic: { ...chat8, groups: 16, sharedBytes: 7 * 1024 }, connections },
  { name: '8 KB, cold', traffic: { ...chat8, groups: 1, sharedBytes: 0 }, connections },
  { name: '64 KB, cold', traffic: { ...chat64, groups: 1, sharedBytes: 0 }, connections },
];
