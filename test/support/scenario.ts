import { hardwareProfile } from '../../src/engine/model/profiles.ts';
import type { Scenario } from '../../src/replay/scenario.ts';

/** A plain scenario of so many like endpoints; what matters to a test is changed by it. */
export function scenarioOf(trace: string, endpoints: number): Scenario {
  return {
    trace,
    part: null,
    profiles: Array.from({ length: endpoints }, () => hardwareProfile('qwen3-32b-2xh100')),
    roles: [],
    events: [],
    rate: 1,
    seed: 1,
    sessions: null,
    maxTurns: 25,
    maxPromptTokens: 131_072,
    thinkTimeCapMs: 60_000,
    sessionGapMs: 1000,
    stalenessMs: 50,
    knowledge: 'router',
    streaming: true,
    slo: { ttftSeconds: 5, tpotSeconds: 0.06 },
  };
}
