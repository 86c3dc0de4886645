import fc from 'fast-check';
import type { EndpointPickerConfig } from '../../src/scheduler/config.ts';
import type { SchedulingRequest } from '../../src/scheduler/request.ts';
import type { Row } from '../support/scheduling.ts';

const count = fc.oneof(fc.constantFrom(0, 1, 128, 1e6), fc.nat(300));
const unknown = fc.constant<number | undefined>(undefined);

/** Up to nine endpoints with every mixture of idle, busy, unknown and stale. */
export const fleets: fc.Arbitrary<Row[]> = fc
  .array(
    fc.record({
      role: fc.constantFrom(undefined, 'decode', 'prefill', 'both'),
      eligible: fc.constantFrom(true, true, true, false),
      inFlight: count,
      queuedPrefillTokens: fc.oneof(unknown, count, fc.nat(100_000)),
      queuedPrefillSeconds: fc.oneof(unknown, fc.double({ min: 0, max: 100, noNaN: true })),
      prefillSeconds: fc.oneof(unknown, fc.double({ min: 0, max: 100, noNaN: true })),
      prefillShare: fc.oneof(unknown, fc.double({ min: 0, max: 1, noNaN: true })),
      contextTokens: fc.oneof(unknown, fc.nat(1_000_000)),
      waiting: fc.oneof(unknown, count),
      running: fc.oneof(unknown, count),
      othersInFlight: fc.oneof(unknown, count),
      kvUsage: fc.oneof(unknown, fc.constantFrom(0, 0.5, 1)),
      ageMs: fc.oneof(unknown, fc.constantFrom(0, 50, 60_000)),
      cachedTokens: fc.oneof(unknown, fc.constant(NaN), fc.nat(4_000)),
    }),
    { maxLength: 9 },
  )
  .map((rows) => rows.map((row, index) => ({ name: `pod-${index}`, ...row })));

export const requests: fc.Arbitrary<Partial<SchedulingRequest>> = fc.record({
  promptTokens: fc.oneof(fc.constant(0), fc.nat(4_000)),
  sessionEndpoint: fc.constantFrom(null, 'pod-0', 'pod-3', 'gone'),
});

/** Every scorer in share, each with a weight of its own. */
export const shareTestConfig: EndpointPickerConfig = {
  apiVersion: 'llm-d.ai/v1alpha1',
  kind: 'EndpointPickerConfig',
  plugins: [
    { type: 'decode-filter' },
    { type: 'session-affinity-scorer' },
    { type: 'prefix-aware-scorer' },
    { type: 'load-aware-scorer' },
    { type: 'max-score-picker' },
  ],
  schedulingProfiles: [
    {
      name: 'decode',
      plugins: [
        { pluginRef: 'decode-filter' },
        { pluginRef: 'session-affinity-scorer', weight: 3 },
        { pluginRef: 'prefix-aware-scorer', weight: 2 },
        { pluginRef: 'load-aware-scorer', weight: 1 },
        { pluginRef: 'max-score-picker' },
      ],
    },
  ],
};

/** No scorer at all: every endpoint ties. */
export const unscoredTestConfig: Pick<EndpointPickerConfig, 'plugins' | 'schedulingProfiles'> = {
  plugins: [{ type: 'decode-filter' }, { type: 'min-cost-picker' }],
  schedulingProfiles: [{ name: 'decode', plugins: [{ pluginRef: 'decode-filter' }, { pluginRef: 'min-cost-picker' }] }],
};
