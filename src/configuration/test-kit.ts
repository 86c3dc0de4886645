/**
 * For testing plugins of one's own, imported as `signalbox/plugin-test`: fleets and requests to try them on, what they
 * make of them, and the contract that every plugin keeps.
 */
import { seededRandom } from '../base/random.ts';
import type {
  Configured,
  Cycle,
  Decider,
  Details,
  Filter,
  Picker,
  PluginDefinition,
  ProfileHandler,
  ProfileRun,
  Scorer,
  Stateful,
} from '../scheduler/plugin.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { FleetView, PrefixLookup } from '../scheduler/view.ts';

/** One endpoint of a fleet; what is left out is idle, or not known. */
export interface Row {
  name: string;
  role?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  eligible?: boolean | undefined;
  inFlight?: number | undefined;
  queuedPrefillTokens?: number | undefined;
  waiting?: number | undefined;
  running?: number | undefined;
  othersInFlight?: number | undefined;
  ageMs?: number | undefined;
  kvUsage?: number | undefined;
  contextTokens?: number | undefined;
  queuedPrefillSeconds?: number | undefined;
  prefillSeconds?: number | undefined;
  prefillShare?: number | undefined;
  cachedTokens?: number | undefined;
}

export function viewOf(rows: readonly Row[], prefixLookup?: PrefixLookup): FleetView {
  const column = (value: (row: Row) => number | undefined, missing: number): Float64Array =>
    Float64Array.from(rows, (row) => value(row) ?? missing);
  const cachedTokens = column((row) => row.cachedTokens, 0);
  const prefillSeconds = column((row) => row.prefillSeconds, 0.01);
  const prefillShare = column((row) => row.prefillShare, 0);
  return {
    nowMs: 0,
    endpoints: rows.map(({ name, role, labels }, slot) => ({
      name,
      address: `127.0.0.1:${8000 + slot}`,
      labels: { ...labels, ...(role === undefined ? {} : { 'llm-d.ai/role': role }) },
    })),
    eligible: Int32Array.from(rows.flatMap((row, slot) => (row.eligible === false ? [] : [slot]))),
    inFlight: column((row) => row.inFlight, 0),
    queuedPrefillTokens: column((row) => row.queuedPrefillTokens, 0),
    queuedPrefillSeconds: column((row) => row.queuedPrefillSeconds ?? (row.queuedPrefillTokens ?? 0) / 10_000, 0),
    contextTokens: column((row) => row.contextTokens, 0),
    waiting: column((row) => row.waiting, NaN),
    running: column((row) => row.running, NaN),
    othersInFlight: column((row) => row.othersInFlight, NaN),
    kvUsage: column((row) => row.kvUsage, NaN),
    gaugeAgeMs: column((row) => row.ageMs, NaN),
    speed: column(() => 1, 1),
    cachedTokens: () => cachedTokens,
    prefillSeconds: () => prefillSeconds,
    prefillShare: () => prefillShare,
    ...(prefixLookup === undefined ? {} : { prefixLookup: () => prefixLookup }),
  };
}

export function requestOf(fields: Partial<SchedulingRequest> = {}): SchedulingRequest {
  return {
    requestId: 'request-1',
    model: 'meta-llama/Llama-3.2-3B-Instruct',
    kind: 'completions',
    streaming: false,
    promptTokens: 96,
    promptCharacters: 387,
    maxOutputTokens: 500,
    sessionEndpoint: null,
    headers: { 'content-type': 'application/json' },
    ...fields,
  };
}

interface Trial {
  readonly parameters?: Record<string, unknown>;
  readonly request?: Partial<SchedulingRequest>;
  readonly seed?: number;
  /** What a profile handler finds configured. */
  readonly configured?: Configured;
}

/** What a scorer gives each endpoint, by name. */
export function scoresOf(
  definition: PluginDefinition,
  rows: readonly Row[],
  trial: Trial = {},
): Record<string, number> {
  const cycle = cycleOf(viewOf(rows), trial);
  const scores = new Float64Array(cycle.candidates.length);
  const scorer = instanceOf<Scorer>(definition, trial);
  scorer.score(cycle, scores, new Columns(scores.length), scorer.state?.());
  return Object.fromEntries(Array.from(cycle.candidates, (slot, at) => [rows[slot]!.name, scores[at]!]));
}

/** The endpoints that a filter keeps, by name. */
export function keptBy(definition: PluginDefinition, rows: readonly Row[], trial: Trial = {}): string[] {
  const cycle = cycleOf(viewOf(rows), trial);
  const filter = instanceOf<Filter>(definition, trial);
  const state = filter.state?.();
  return [...cycle.candidates]
    .filter((slot) => filter.drop(cycle, slot, state) === null)
    .map((slot) => rows[slot]!.name);
}

const fleets = 200;

/**
 * Where a plugin breaks the contract, one line each; none is what should come out. Tried on made-up fleets. A profile
 * handler is given `configured`, one profile `decode` unless told otherwise.
 */
export function contractFaults(
  definition: PluginDefinition,
  parameters: Record<string, unknown> = {},
  configured: Configured = { profiles: ['decode'], deciders: new Map() },
): string[] {
  const faults = new Set<string>();
  for (let seed = 1; seed <= fleets; seed++) {
    const rows = madeUpFleet(seed);
    const view = viewOf(rows);
    const before = JSON.stringify(dataOf(view));
    try {
      const results = [1, 2].map(() => runOnce(definition, view, { parameters, seed, configured }, faults));
      if (results[0] !== results[1]) faults.add('asked the same twice, it answers differently');
    } catch (error) {
      faults.add(`it throws: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (JSON.stringify(dataOf(view)) !== before) faults.add('it changes the view');
  }
  return [...faults];
}

function runOnce(definition: PluginDefinition, view: FleetView, trial: Trial, faults: Set<string>): string {
  const cycle = cycleOf(view, trial);
  const { candidates } = cycle;
  switch (definition.kind) {
    case 'filter': {
      const filter = instanceOf<Filter>(definition, trial);
      const state = filter.state?.();
      const reasons = Array.from(candidates, (slot): unknown => filter.drop(cycle, slot, state));
      if (reasons.some((reason) => reason !== null && (typeof reason !== 'string' || reason === ''))) {
        faults.add('`drop` gives null, or the reason in words');
      }
      return JSON.stringify(reasons);
    }
    case 'scorer': {
      const scorer = instanceOf<Scorer>(definition, trial);
      const scores = new Float64Array(candidates.length).fill(NaN);
      scorer.score(cycle, scores, new Columns(scores.length), scorer.state?.());
      const most = definition.unit === 'share' ? 1 : Number.MAX_VALUE;
      const wrong = scores.find((score) => !(score >= 0 && score <= most));
      if (wrong !== undefined) faults.add(`a score of ${wrong} is no ${definition.unit}`);
      return scores.join();
    }
    case 'picker': {
      if (candidates.length === 0) return '';
      const picker = instanceOf<Picker>(definition, trial);
      const totals = Float64Array.from(candidates, (_, at) => (at * 7) % 3);
      const { picked, tied } = picker.pick(cycle, totals, picker.state?.());
      if (picked.length === 0 || !tied.includes(picked[0]!)) faults.add('the first picked is not among the tied');
      if ([...picked, ...tied].some((slot) => !candidates.includes(slot))) faults.add('it picks what is no candidate');
      return JSON.stringify([picked, tied]);
    }
    case 'decider': {
      if (candidates.length === 0) return '';
      const run = (profile: string, at: number): ProfileRun => {
        const slot = candidates[at % candidates.length]!;
        return { profile, picked: [slot], total: 1 };
      };
      const { request } = cycle;
      const question = { request, view, together: run('decode', 0), decode: run('decode', 0) };
      const verdicts = [null, run('prefill', 1)].map((prefill) =>
        instanceOf<Decider>(definition, trial).decide({ ...question, prefill }),
      );
      if (
        verdicts.some(({ split, reason }) => typeof split !== 'boolean' || typeof reason !== 'string' || reason === '')
      )
        faults.add('`decide` gives `split`, and the reason in words');
      return JSON.stringify(verdicts);
    }
    case 'profile-handler': {
      const handler = instanceOf<ProfileHandler>(definition, trial);
      const done: ProfileRun[] = [];
      const progress = { request: cycle.request, view, done };
      for (let next = handler.next(progress); next !== null; next = handler.next(progress)) {
        if (!trial.configured!.profiles.includes(next) || done.some(({ profile }) => profile === next)) {
          faults.add(`it asks for the profile "${next}", which is not configured or has run`);
          break;
        }
        done.push({ profile: next, picked: [...candidates].slice(0, 1), total: 1 });
      }
      const settled = handler.settle(progress);
      if (!done.some(({ profile }) => profile === settled.serves)) faults.add('the profile that serves has not run');
      return JSON.stringify([done, settled]);
    }
  }
}

/** A fleet of 0 to 8 endpoints with some of everything, missing gauges included. */
export function madeUpFleet(seed: number): Row[] {
  const random = seededRandom(seed);
  const maybe = (value: number): number | undefined => (random.below(4) === 0 ? undefined : value);
  return Array.from({ length: random.below(9) }, (_, at) => ({
    name: `endpoint-${at}`,
    role: [undefined, 'decode', 'prefill', 'both'][random.below(4)],
    labels: { rack: `rack-${random.below(3)}` },
    eligible: random.below(5) > 0,
    inFlight: random.below(40),
    queuedPrefillTokens: random.below(60_000),
    waiting: maybe(random.below(20)),
    running: maybe(random.below(60)),
    othersInFlight: maybe(random.below(10)),
    ageMs: maybe(random.below(10_000)),
    kvUsage: maybe(random.next()),
    contextTokens: random.below(300_000),
    prefillSeconds: random.next() * 5,
    prefillShare: random.next(),
    cachedTokens: random.below(97),
  }));
}

function cycleOf(view: FleetView, { request, seed = 1 }: Trial): Cycle {
  return { request: requestOf(request), view, candidates: view.eligible, random: seededRandom(seed) };
}

function instanceOf<Instance>(
  definition: PluginDefinition,
  { parameters = {}, configured = { profiles: ['decode'], deciders: new Map() } }: Trial,
): Instance & Partial<Stateful<unknown>> {
  return definition.create(definition.parameters.parse(parameters), configured) as unknown as Instance &
    Partial<Stateful<unknown>>;
}

function dataOf(view: FleetView): object {
  const [cachedTokens, prefillSeconds] = [view.cachedTokens(), view.prefillSeconds()];
  return { ...view, cachedTokens, prefillSeconds, prefillShare: view.prefillShare?.() };
}

class Columns implements Details {
  readonly #length: number;
  constructor(length: number) {
    this.#length = length;
  }
  column(): Float64Array {
    return new Float64Array(this.#length);
  }
  note(): void {}
}
