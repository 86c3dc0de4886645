import { z } from 'zod';
import { decisionVersion } from './decision-json.ts';

const count = z.int().min(0);
const seconds = z.number();
const known = z.number().nullable();
const byEndpoint = z.record(z.string(), z.number());
const endpoint = z.string();
const nobody = endpoint.nullable();
const note = z.union([z.number(), z.string(), z.null()]);

const inputs = z
  .strictObject({
    waiting: known,
    running: known,
    othersInFlight: known.describe('Sent by others than this router.'),
    kvUsage: known.describe('0 to 1.'),
    inFlight: known,
    queuedPrefillTokens: known,
    queuedPrefillSeconds: known,
    contextTokens: known,
    cachedTokens: known.describe('Of this prompt.'),
    prefillSeconds: known.describe('That this prompt would take there.'),
    ageMs: known.describe('Of what the engine said of itself.'),
    speed: known.describe('1 is as its hardware profile says.'),
    prefillShare: known.describe('Of its time, what went into prompts lately; known where a split was thought of.'),
  })
  .describe('What was known of one candidate.');

const profile = z.strictObject({
  name: z.string(),
  candidateCount: count.describe('More than are listed when there are very many.'),
  candidates: z.array(z.strictObject({ endpoint, address: z.string() })),
  filters: z.array(
    z.strictObject({
      plugin: z.string(),
      type: z.string(),
      kept: z.array(endpoint),
      dropped: z.array(z.strictObject({ endpoint, reason: z.string() })),
    }),
  ),
  scorers: z.array(
    z.strictObject({
      plugin: z.string(),
      type: z.string(),
      unit: z.enum(['share', 'seconds']),
      weight: z.number(),
      scores: byEndpoint,
      details: z.record(z.string(), z.union([note, z.record(z.string(), known)])),
    }),
  ),
  totals: byEndpoint.describe('The sum of weight times score.'),
  picker: z.strictObject({ plugin: z.string(), tied: z.array(endpoint), picked: z.array(endpoint) }),
});

const attempts = z.array(
  z.strictObject({ endpoint, status: z.int().nullable().describe('Null when none came.'), reason: z.string() }),
);

const disaggregation = z.strictObject({
  by: z.string().describe("A decider's name, or the profile handler's type."),
  split: z.boolean(),
  reason: z.string(),
  details: z.record(z.string(), note),
  prefill: nobody.describe('Where the prompt was to be computed; null when where it is decoded.'),
  attempts,
});

const outcome = z.strictObject({
  status: z.int(),
  endpoint: nobody,
  promptTokens: known.describe('As the engine counted them.'),
  cachedTokens: known,
  ttftSeconds: known,
  e2eSeconds: known,
  completionTokens: known,
});

const flips = z.strictObject({
  unknown: z.string().nullable().describe('Why it is not known; null when it is.'),
  profiles: z.array(
    z.strictObject({
      profile: z.string(),
      picked: endpoint,
      runnerUp: nobody,
      flips: z.array(
        z.strictObject({
          endpoint,
          input: inputs.omit({ speed: true, prefillShare: true }).keyof(),
          unit: z.enum(['requests', 'tokens', 'seconds', 'share', 'milliseconds']),
          from: known,
          to: known.describe('The nearest value found at which the pick is another; null when none is.'),
          picks: nobody.describe('What is picked then; null when nothing is, or without `to`.'),
          size: known.describe('The change, relative to `from` or to what one request like this brings.'),
        }),
      ),
    }),
  ),
});

/**
 * The JSON form of a Decision, in files, at `/api/decisions` and from `--json`: the one source of its type and of
 * docs/decision.schema.json. Unknown numbers are null.
 */
export const decisionSchema = z.strictObject({
  version: z.literal(decisionVersion),
  id: z.string(),
  requestId: z.string(),
  time: z.iso.datetime(),
  model: z.string(),
  kind: z.string(),
  streaming: z.boolean(),
  promptTokens: count.describe('As estimated before any answer.'),
  prefixBlocks: z
    .strictObject({
      tokensPerBlock: z.number(),
      hashes: z.string().regex(/^([0-9a-f]{16})*$/),
    })
    .nullable()
    .describe('Seeded hashes of its beginnings, 16 digits each: equal ones, of one process, are equal beginnings.'),
  policy: z.strictObject({ name: z.string(), hash: z.string() }),
  seed: count,
  admission: z.strictObject({
    verdict: z.enum(['admitted', 'rejected']),
    queuedSeconds: seconds,
    band: z.string().describe('The priority.'),
    fairnessId: z.string(),
    ahead: z
      .strictObject({ requests: count, seconds: known.describe('Until it was thought to be placed.') })
      .nullable()
      .describe('What waited ahead of it when it came; null when it did not wait.'),
    shed: z
      .enum(['too-late', 'missed', 'queue-full', 'expired', 'made-room'])
      .nullable()
      .describe('Why it was turned away; null when it was not, or for want of an endpoint.'),
    leftOut: z.array(endpoint).describe('Endpoints without room for it in their KV cache.'),
  }),
  inputs: z.record(z.string(), inputs).describe('By endpoint.'),
  profiles: z.array(profile).describe('In the order they ran.'),
  reason: z.string(),
  predicted: z.strictObject({ cachedTokens: known, ttftSeconds: known, e2eSeconds: known }),
  schedulerSeconds: seconds,
  picked: nobody.describe('Null when none could serve it.'),
  disaggregation: disaggregation.nullable().describe('Null where the policy does not ask.'),
  attempts: attempts.describe('Where it was sent, in order.'),
  shadow: z
    .array(z.strictObject({ policy: z.string(), picked: nobody, ttftSeconds: known, cachedTokens: known }))
    .describe('What policies in shadow said, where they were asked.'),
  outcome: outcome.nullable().describe('Null until it has ended.'),
  flips: flips.optional().describe('Only where asked for.'),
});

export type DecisionJson = z.infer<typeof decisionSchema>;
export type ProfileJson = DecisionJson['profiles'][number];
export type FlipsJson = NonNullable<DecisionJson['flips']>;
export type FlipJson = FlipsJson['profiles'][number]['flips'][number];
