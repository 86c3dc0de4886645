import { messageOf } from '../base/errors.ts';
import { pickBest } from '../scheduler/plugins/pickers/pick-best.ts';
import type {
  Configured,
  Cycle,
  Decider,
  Filter,
  Picker,
  PluginDefinition,
  ProfileHandler,
  Scorer,
  Stateful,
} from '../scheduler/plugin.ts';
import { isTimeout, withinTime } from './time-limit.ts';

/** One run may take so long before it counts as slow, and before it is ended. */
interface PluginLimits {
  readonly budgetMs: number;
  readonly hangMs: number;
  /** Slow runs among the last thousand at which the plugin is switched off. */
  readonly slowRuns: number;
}

export const defaultLimits: PluginLimits = { budgetMs: 5, hangMs: 2000, slowRuns: 50 };
const windowRuns = 1000;

/** How a plugin of the user's fares. */
export interface PluginHealth {
  readonly type: string;
  readonly file: string;
  runs: number;
  failures: number;
  slowRuns: number;
  lastFailure: string | null;
  /** Why it runs no more; null while it does. */
  off: string | null;
}

interface Stand {
  readonly health: PluginHealth;
  readonly limits: PluginLimits;
  /** Hears of the first failure of each kind, and of being switched off. */
  readonly report: (text: string) => void;
}

/**
 * The same plugin, which can do no harm: what throws is skipped for that request and counted, what is too slow too often
 * is switched off, what hangs is ended and switched off. A skipped filter keeps all, a skipped scorer scores 0 for all,
 * a skipped picker's place is taken by the best total, a skipped decider splits nothing, and a skipped handler runs the
 * first profile.
 */
export function guarded(definition: PluginDefinition, stand: Stand): PluginDefinition {
  switch (definition.kind) {
    case 'filter':
      return { ...definition, create: (parameters: unknown) => guardedFilter(definition.create(parameters), stand) };
    case 'scorer':
      return {
        ...definition,
        create: (parameters: unknown) => guardedScorer(definition.create(parameters), definition.unit, stand),
      };
    case 'picker':
      return {
        ...definition,
        create: (parameters: unknown) => guardedPicker(definition.create(parameters), definition.unit, stand),
      };
    case 'decider':
      return { ...definition, create: (parameters: unknown) => guardedDecider(definition.create(parameters), stand) };
    case 'profile-handler':
      return {
        ...definition,
        create: (parameters: unknown, configured: Configured) =>
          guardedHandler(definition.create(parameters, configured), configured, stand),
      };
  }
}

type WithState = Partial<Stateful<unknown>>;

function guardedFilter(filter: Filter & WithState, stand: Stand): Filter & WithState {
  const drops = new WeakMap<Cycle, ReadonlyMap<number, string | null>>();
  return {
    ...guardedState(filter, stand),
    drop(cycle, slot, state) {
      let found = drops.get(cycle);
      if (found === undefined) {
        found =
          attempt(
            stand,
            () => new Map(Array.from(cycle.candidates, (each) => [each, filter.drop(cycle, each, state)])),
          ) ?? new Map<number, string | null>();
        drops.set(cycle, found);
      }
      const reason = found.get(slot) ?? null;
      return reason === null ? null : String(reason);
    },
  };
}

function guardedScorer(scorer: Scorer & WithState, unit: 'share' | 'seconds', stand: Stand): Scorer & WithState {
  return {
    ...guardedState(scorer, stand),
    score(cycle, scores, details, state) {
      const done = attempt(stand, () => {
        scorer.score(cycle, scores, details, state);
        const wrong = scores.find((score) => !(score >= 0 && score <= (unit === 'share' ? 1 : Number.MAX_VALUE)));
        if (wrong !== undefined) throw new RangeError(`a score of ${wrong} is no ${unit}`);
        return true;
      });
      if (done === true) return;
      scores.fill(0);
      details.note('skipped', stand.health.off ?? stand.health.lastFailure);
    },
  };
}

function guardedPicker(picker: Picker & WithState, unit: 'share' | 'seconds', stand: Stand): Picker & WithState {
  return {
    ...guardedState(picker, stand),
    pick(cycle, totals, state) {
      const pick = attempt(stand, () => {
        const { picked, tied } = picker.pick(cycle, totals, state);
        const stranger = [...picked, ...tied].find((slot) => !cycle.candidates.includes(slot));
        if (stranger !== undefined) throw new RangeError(`slot ${stranger} is no candidate`);
        return { picked: [...picked], tied: [...tied] };
      });
      return pick ?? pickBest(cycle, totals, unit === 'share' ? 1 : -1, 1);
    },
  };
}

function guardedDecider(decider: Decider, stand: Stand): Decider {
  return {
    comparesPicks: decider.comparesPicks,
    decide(question) {
      const decided = attempt(stand, () => {
        const { split, reason, details } = decider.decide(question);
        return { split: split === true, reason: String(reason), details: { ...details } };
      });
      return decided ?? { split: false, reason: `${stand.health.type} was skipped`, details: {} };
    },
  };
}

function guardedHandler(handler: ProfileHandler, { profiles }: Configured, stand: Stand): ProfileHandler {
  const [first = ''] = profiles;
  return {
    next(progress) {
      const next = attempt(stand, () => {
        const name = handler.next(progress);
        if (name !== null && !profiles.includes(name)) throw new RangeError(`no profile is named "${name}"`);
        return { name };
      });
      if (next !== undefined) return next.name;
      return progress.done.length === 0 ? first : null;
    },
    settle(progress) {
      const hasRun = (name: string): boolean => progress.done.some(({ profile }) => profile === name);
      const settled = attempt(stand, () => {
        const { serves, prefills, verdict } = handler.settle(progress);
        const stranger = [serves, ...(prefills === null ? [] : [prefills])].find((name) => !hasRun(name));
        if (stranger !== undefined) throw new RangeError(`the profile "${stranger}" has not run`);
        return { serves, prefills, verdict };
      });
      return settled ?? { serves: progress.done[0]?.profile ?? first, prefills: null, verdict: null };
    },
  };
}

function guardedState({ state, commit, finish }: WithState, stand: Stand): WithState {
  if (state === undefined) return {};
  return {
    state: () => attempt(stand, () => state()) ?? null,
    commit: (own, decision) => void attempt(stand, () => commit?.(own, decision)),
    finish: (own, decision, outcome) => void attempt(stand, () => finish?.(own, decision, outcome)),
  };
}

/** What `run` gives; undefined when it is off, throws, or has to be ended. */
function attempt<T>({ health, limits, report }: Stand, run: () => T): T | undefined {
  if (health.off !== null) return undefined;
  if (health.runs % windowRuns === 0) health.slowRuns = 0;
  health.runs += 1;
  const startedMs = cpuMs();
  try {
    return withinTime(limits.hangMs, run);
  } catch (error) {
    health.failures += 1;
    if (isTimeout(error)) {
      switchOff(health, `it hung: a run was ended after ${limits.hangMs} ms`, report);
    } else {
      const message = messageOf(error);
      if (message !== health.lastFailure) report(`${health.type} (${health.file}) threw, and was skipped: ${message}`);
      health.lastFailure = message;
    }
    return undefined;
  } finally {
    if (cpuMs() - startedMs > limits.budgetMs && ++health.slowRuns >= limits.slowRuns) {
      switchOff(health, `${health.slowRuns} runs took longer than ${limits.budgetMs} ms each`, report);
    }
  }
}

function switchOff(health: PluginHealth, why: string, report: (text: string) => void): void {
  if (health.off !== null) return;
  health.off = `switched off: ${why}`;
  report(`${health.type} (${health.file}) is ${health.off}. It comes back when its file changes.`);
}

/** This thread's own time at work: a busy machine is nobody's fault. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
