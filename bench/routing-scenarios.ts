import { hardwareProfile } from '../src/engine/model/profiles.ts';
import { parseFleetEvent } from '../src/replay/fleet-events.ts';
import type { Scenario } from '../src/replay/scenario.ts';

export interface BenchScenario {
  readonly title: string;
  /** What one cell of its table is, as a command. */
  readonly flags: string;
  readonly scenario: Scenario;
  /** Null for all presets. */
  readonly policies: readonly string[] | null;
  /** Counts towards the geometric mean over all. */
  readonly counts: boolean;
  /** Not every request can be in time, whoever decides. */
  readonly saturated: boolean;
  /** Whether it is looked for the load at which it breaks. */
  readonly findBreaking: boolean;
}

interface Options {
  readonly rate?: number;
  readonly events?: readonly string[];
  readonly sessions?: number;
  readonly kvTokens?: number;
  readonly streaming?: boolean;
  readonly policies?: readonly string[];
  readonly saturated?: boolean;
  readonly findBreaking?: boolean;
}

/** How recorded sessions are played, whatever is compared. */
export const usual = {
  maxTurns: 25,
  maxPromptTokens: 131_072,
  thinkTimeCapMs: 60_000,
  sessionGapMs: 5000,
  stalenessMs: 50,
  knowledge: 'router',
  slo: { ttftSeconds: 5, tpotSeconds: 0.06 },
} as const;

function bench(title: string, trace: string, endpoints: number, options: Options = {}): BenchScenario {
  const { rate = 1, events = [], sessions = null, kvTokens = null, streaming = true } = options;
  const known = hardwareProfile('qwen3-32b-2xh100');
  const profile = kvTokens === null ? known : { ...known, kvCacheTokens: kvTokens };
  const flags = [
    `--trace ${trace} --endpoints ${endpoints}`,
    rate === 1 ? '' : `--rate ${rate}`,
    sessions === null ? '' : `--sessions ${sessions}`,
    kvTokens === null ? '' : `--kv-tokens ${kvTokens}`,
    streaming ? '' : '--no-stream',
    ...events.map((event) => `--event "${event}"`),
  ];
  return {
    title,
    flags: flags.filter((flag) => flag !== '').join(' '),
    policies: options.policies ?? null,
    counts: options.policies === undefined,
    saturated: options.saturated ?? false,
    findBreaking: options.findBreaking ?? false,
    scenario: {
      trace,
      part: null,
      profiles: Array.from({ length: endpoints }, () => profile),
      roles: [],
      events: events.map((event) => parseFleetEvent(event, endpoints)),
      rate,
      seed: 1,
      sessions,
      streaming,
      ...usual,
    },
  };
}

const agents = { kvTokens: 1_500_000 };

export const titles = {
  conversation8: 'Conversation, 8 endpoints',
  conversation6: 'Conversation, 6 endpoints',
  conversation5: 'Conversation, 5 endpoints (the edge of saturation)',
  halfSpeed: 'Conversation, 8 endpoints, two at half speed',
  slowed: 'Conversation, 8 endpoints, one at a third of its speed for 20 minutes',
  whole: 'Conversation, 8 endpoints, answers not streamed',
};

/** Of the scenario `slowed`. */
export const slowed = { endpoint: 3, fromSeconds: 1200, toSeconds: 2400 };

export const scenarios: readonly BenchScenario[] = [
  bench(titles.conversation8, 'mooncake-conversation', 8, { findBreaking: true }),
  bench(titles.conversation6, 'mooncake-conversation', 6),
  bench(titles.conversation5, 'mooncake-conversation', 5, { saturated: true }),
  bench(titles.halfSpeed, 'mooncake-conversation', 8, { events: ['0s 6 slow 0.5', '0s 7 slow 0.5'] }),
  bench(titles.slowed, 'mooncake-conversation', 8, {
    events: [`${slowed.fromSeconds}s ${slowed.endpoint} slow 0.33`, `${slowed.toSeconds}s ${slowed.endpoint} slow 1`],
  }),
  // The best preset breaks at 1.2 times the recorded rate.
  bench('Azure code, 4 endpoints, 80 % of the load that the best preset takes', 'azure2023-code', 4, {
    rate: 0.96,
    findBreaking: true,
  }),
  bench('Azure code at five times its rate, 4 endpoints (overload)', 'azure2023-code', 4, { rate: 5, saturated: true }),
  bench('Agents, 40 sessions, 4 endpoints', 'agent-sessions', 4, { ...agents, sessions: 40 }),
  bench('Agents, 70 sessions, 4 endpoints', 'agent-sessions', 4, { ...agents, sessions: 70 }),
  bench('Agents, 110 sessions, 4 endpoints', 'agent-sessions', 4, {
    ...agents,
    sessions: 110,
    saturated: true,
    findBreaking: true,
  }),
  bench(titles.whole, 'mooncake-conversation', 8, {
    streaming: false,
    policies: ['least-added-wait', 'lmetric', 'llm-d-token-aware', 'least-requests'],
  }),
];
