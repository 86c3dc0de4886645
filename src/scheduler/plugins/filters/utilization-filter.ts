import { z } from 'zod';
import { definePlugin, type Cycle } from '../../plugin.ts';
import type { FleetView } from '../../view.ts';
import { oncePerCycle } from './once-per-cycle.ts';

/** What can be limited, and its column. */
const columns = {
  'active-requests': (view: FleetView) => view.inFlight,
  'running-requests': (view: FleetView) => view.running,
  'waiting-queue': (view: FleetView) => view.waiting,
  'kv-cache-utilization': (view: FleetView) => view.kvUsage,
};

type Metric = keyof typeof columns;

const parameters = z.strictObject({
  conditions: z
    .array(
      z.strictObject({
        metric: z.enum(Object.keys(columns) as [Metric, ...Metric[]]),
        maxValue: z.number().min(0),
      }),
    )
    .default([])
    .describe('each a `metric` and its `maxValue`; an endpoint above one is left out, one that does not say is kept')
    .meta({ examples: [[{ metric: 'kv-cache-utilization', maxValue: 0.9 }]] }),
  fallbackOnEmpty: z.boolean().default(true).describe('keep all when all are above; else the request finds none'),
});

export const utilizationFilter = definePlugin({
  type: 'utilization-filter',
  kind: 'filter',
  summary: 'Leaves out endpoints that are above a limit on requests, queue or KV cache.',
  source: 'llm-d router (alpha)',
  parameters,
  create({ conditions, fallbackOnEmpty }) {
    const excess = ({ view }: Cycle, slot: number): string | null => {
      const over = conditions.find(({ metric, maxValue }) => columns[metric](view)[slot]! > maxValue);
      return over === undefined ? null : `${over.metric} is ${columns[over.metric](view)[slot]}`;
    };
    const allAbove = oncePerCycle((cycle: Cycle) => cycle.candidates.every((slot) => excess(cycle, slot) !== null));
    return {
      drop: (cycle, slot) => (fallbackOnEmpty && allAbove(cycle, undefined) ? null : excess(cycle, slot)),
    };
  },
});
