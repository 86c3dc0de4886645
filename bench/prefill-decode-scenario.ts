import { hardwareProfile } from '../src/engine/model/profiles.ts';
import type { Scenario } from '../src/replay/scenario.ts';
import { usual } from './routing-scenarios.ts';

/** A way to use eight endpoints. */
export interface Contender {
  readonly title: string;
  readonly policy: string;
  /** They take turns; null for none. */
  readonly roles: readonly (string | null)[];
}

const endpoints = 8;
const apart = ['prefill', 'decode'];

/** Ours first. */
export const contenders: readonly [Contender, ...Contender[]] = [
  { title: '`disaggregated`, 4 prefill and 4 decode', policy: 'disaggregated', roles: apart },
  { title: '`always-split`, the same fleet', policy: 'always-split', roles: apart },
  { title: 'never: `least-added-wait`, 8 of one kind', policy: 'least-added-wait', roles: [null] },
  {
    title: 'never, in the same order: `bench/prefill-decode-never.yaml`',
    policy: 'bench/prefill-decode-never.yaml',
    roles: [null],
  },
];

/** Long prompts on equal hardware. */
export function prefillDecodeScenario(options: {
  readonly rate: number;
  readonly seed: number;
  readonly sessions: number;
  readonly roles: readonly (string | null)[];
}): Scenario {
  const { roles, ...rest } = options;
  const all = Array.from({ length: endpoints }, (_, at) => at);
  return {
    ...rest,
    trace: 'mooncake-conversation',
    part: null,
    profiles: all.map(() => hardwareProfile('qwen3-32b-2xh100')),
    roles: all.map((at) => roles[at % roles.length]!),
    events: [],
    streaming: true,
    ...usual,
  };
}
