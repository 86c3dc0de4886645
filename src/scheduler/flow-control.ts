import { z } from 'zod';
import type { HoldRule } from './flow-rule.ts';

const seconds = z.number().positive();
const limits = {
  maxRequests: z.int().min(0).default(10_000),
  maxBytes: z
    .int()
    .min(0)
    .default(1024 ** 3),
  ttlSeconds: seconds.default(600),
};

/** `flowControl` of an EndpointPickerConfig: who waits when the fleet is full, and who goes first. */
export const flowControlSchema = z.strictObject({
  hold: z
    .strictObject({
      maxPrefillBacklogSeconds: seconds.default(2.5),
      prefillWeight: z.number().min(0).default(8),
      maxHeld: z.int().min(0).default(10_000),
    })
    .optional()
    .describe('wait by the backlog of the endpoint picked, for policies in seconds; else by the TTFT everywhere'),
  utilization: z
    .strictObject({ queueDepth: z.number().positive().default(5), kvUsage: z.number().positive().max(1).default(0.8) })
    .optional()
    .describe("full is where engines' gauges say so on average, as llm-d's utilization-detector has it"),
  order: z
    .enum(['shortest-uncached-first', 'first-come', 'earliest-deadline'])
    .default('shortest-uncached-first')
    .describe("who goes first among one tenant's requests"),
  ttftTargetSeconds: seconds.default(2).describe('full is where no endpoint promises the first token within this'),
  scaleFromZeroSeconds: z
    .number()
    .min(0)
    .default(60)
    .describe('how long the first requests wait for a pool that has no endpoint yet'),
  maxBytes: z
    .int()
    .min(0)
    .default(4 * 1024 ** 3)
    .describe('of all that wait'),
  defaultBand: z.strictObject(limits).prefault({}).describe('limits of each priority that `bands` does not name'),
  bands: z
    .array(z.strictObject({ priority: z.int(), ...limits }))
    .default([])
    .describe('limits by priority'),
  objectives: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        priority: z.int().default(0),
        models: z.array(z.string().min(1)).default([]),
        ttftTargetSeconds: seconds.nullable().default(null),
        tpotTargetSeconds: seconds.nullable().default(null),
      }),
    )
    .default([])
    .describe('kinds of requests, by the name that a header gives or by model'),
  waitingComments: z
    .boolean()
    .default(false)
    .describe('tell streams that wait where they stand, in SSE comments; x-signalbox-waiting: on or off overrides it'),
  weights: z.record(z.string(), z.number().positive()).default({}).describe("tenants' shares beside others' of 1"),
  quantumTokens: z
    .int()
    .positive()
    .default(32_768)
    .describe('tokens of service by which tenants may be apart before one waits for the others'),
  starvationShare: z.number().min(0).max(0.5).default(0.05).describe('what lower priorities get of a full fleet'),
});

/** The rule as configured, everything resolved. */
export function holdRule({ hold, utilization, ...flow }: z.output<typeof flowControlSchema>): HoldRule {
  return {
    ...flow,
    utilization: utilization ?? null,
    maxRequests: hold?.maxHeld ?? 50_000,
    maxPrefillBacklogSeconds: hold?.maxPrefillBacklogSeconds ?? null,
    prefillWeight: hold?.prefillWeight ?? 8,
  };
}

/** What holds where a policy says nothing of it. */
export const defaultHoldRule: HoldRule = holdRule(flowControlSchema.parse({}));
