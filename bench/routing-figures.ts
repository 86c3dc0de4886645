/** The figures that the default policy is to reach, each from the results of one bench run. */
import type { Drawing, PolicyResult } from '../src/replay/result.ts';
import type { Breaking, Measured, PageContent, Twin } from './routing-page.ts';
import { slowed, titles } from './routing-scenarios.ts';
import type { BenchScenario } from './routing-scenarios.ts';
import { digits, e2eMean, inTime, mean, meanOf, spread, ttftP99 } from './routing-statistics.ts';
import type { Measure } from './routing-statistics.ts';

export const ours = 'least-added-wait';

interface Figure {
  readonly asked: string;
  readonly measured: string;
  readonly met: boolean;
  /** Why not, where it is known. */
  readonly why?: string;
}

interface Compared {
  readonly title: string;
  readonly other: string;
  /** By seed. */
  readonly values: readonly number[];
}

export function figures(content: PageContent): Figure[] {
  const { measured, twins, breaking, means, speed } = content;
  return [
    ...againstPresets(measured, means),
    ...againstTokenAware(measured),
    ...againstPerfect(measured, twins),
    ...slowEndpoints(measured, twins),
    wholeAnswers(measured),
    ...breakingLoads(breaking),
    {
      asked: 'replay of 12,031 requests over 8 endpoints: under 15 s on one core, under 1 GB',
      measured: `${speed.seconds.toFixed(1)} s, ${speed.peakMegabytes.toFixed(0)} MB with the bench itself`,
      met: speed.seconds < 15 && speed.peakMegabytes < 1000,
    },
  ];
}

function againstPresets(measured: readonly Measured[], means: PageContent['means']): Figure[] {
  const below = scenariosOf(measured).filter(({ counts, saturated }) => counts && !saturated);
  const isAgents = ({ scenario }: BenchScenario): boolean => scenario.trace === 'agent-sessions';
  const behind = (scenarios: readonly BenchScenario[], measure: Measure, sign: 1 | -1, by: By): Compared =>
    worst(scenarios.map((scenario) => behindBest(measured, scenario.title, measure, sign, by)));
  const others = below.filter((scenario) => !isAgents(scenario));
  const e2e = behind(others, e2eMean, 1, ratio);
  const agents = behind(below.filter(isAgents), e2eMean, 1, ratio);
  const late = behind(below, inTime, -1, difference);
  const tail = behind(below, ttftP99, 1, ratio);
  return [
    atMost('below saturation, no preset’s mean E2E is lower than ours by more than 3 %', e2e, 1.03, percentMore),
    atMost('… on agent sessions by more than 10 %', agents, 1.1, percentMore),
    atMost('… nor its share in time higher by more than 0.01', late, 0.01, (value) => value.toFixed(3)),
    atMost('… nor its p99 TTFT lower so that ours is more than 30 % above', tail, 1.3, percentMore),
    {
      asked: 'the best geometric mean of mean E2E over all scenarios',
      measured: `${means[0]!.policy}; next ${means[1]!.policy}, ${percentMore(means[1]!.e2eSeconds / means[0]!.e2eSeconds)} above`,
      met: means[0]!.policy === ours,
    },
  ];
}

function againstTokenAware(measured: readonly Measured[]): Figure[] {
  const rival = 'llm-d-token-aware';
  const lower = (title: string, least: number): Figure => {
    const values = bySeed(measured, title, rival, e2eMean, (own, other) => 1 - own / other);
    return {
      asked: `${title}: mean E2E at least ${100 * least} % lower than ${rival}’s`,
      measured: `${(100 * mean(values)).toFixed(1)} ± ${(100 * spread(values)).toFixed(1)} % lower`,
      met: mean(values) >= least,
    };
  };
  const times = (other: string, least: number): Figure => {
    const own = meanOf(runsOf(measured, titles.conversation5, ours), inTime);
    const value = own / meanOf(runsOf(measured, titles.conversation5, other), inTime);
    const values = bySeed(measured, titles.conversation5, other, inTime, ratio);
    return {
      asked: `there, at least ${least} × ${other}’s share in time`,
      measured: `${value.toFixed(3)} ± ${spread(values).toFixed(3)} ×`,
      met: value >= least,
      why: 'the parameters around ours give 1.78 to 1.82 here; those above 1.8 put the p99 TTFT on 6 endpoints beyond 30 % over the best preset’s.',
    };
  };
  return [
    lower(titles.conversation8, 0.08),
    lower(titles.conversation6, 0.08),
    lower(titles.halfSpeed, 0.15),
    lower(titles.conversation5, 0.18),
    times(rival, 1.8),
    times('lmetric', 1.3),
  ];
}

/** One figure for each scenario of which there is a twin that knows everything. */
function againstPerfect(measured: readonly Measured[], twins: readonly Twin[]): Figure[] {
  return twins
    .filter(({ knowledge }) => knowledge === 'perfect')
    .map((twin) => {
      const most = twin.scenario.scenario.trace === 'agent-sessions' ? 1.1 : 1.02;
      return againstTwin(measured, twin, most, 'of the same rule with perfect information');
    });
}

function slowEndpoints(measured: readonly Measured[], twins: readonly Twin[]): Figure[] {
  const told = twins
    .filter(({ knowledge }) => knowledge === 'true-speeds')
    .map((twin) => againstTwin(measured, twin, 1.1, 'of a twin that is told the true speeds'));
  const { drawings } = cellOf(measured, titles.slowed, ours)!;
  const { before, after } = recovery(drawings);
  const back = after[0]!;
  return [
    ...told,
    {
      asked: `${titles.slowed}: its share of requests is back within 60 s of recovery`,
      measured: `${digits(before)} of the others’ mean before, ${digits(back)} in the first whole minute after`,
      // Chance moves a minute’s share by a tenth.
      met: back >= before - 0.1,
    },
  ];
}

function againstTwin(measured: readonly Measured[], twin: Twin, most: number, ofWhat: string): Figure {
  const { title } = twin.scenario;
  const own = runsOf(measured, title, ours);
  const values = own.map((run, at) => e2eMean(run) / e2eMean(twin.runs[at]!));
  const value = meanOf(own, e2eMean) / meanOf(twin.runs, e2eMean);
  return {
    asked: `${title}: mean E2E within ${percent(most - 1, 0)} ${ofWhat}`,
    measured: `${percentMore(value)} ± ${(100 * spread(values)).toFixed(1)}`,
    met: value <= most,
    why: 'the fuller the engines, the faster their caches turn over and the more the answers under way delay a prefill; neither is seen from outside. On 5 endpoints, to know the true caches alone is worth 2 %, to know the true queues and durations alone 3 %.',
  };
}

function wholeAnswers(measured: readonly Measured[]): Figure {
  const whole = runsOf(measured, titles.whole, ours);
  const streamed = runsOf(measured, titles.conversation8, ours);
  const values = whole.map((run, at) => e2eMean(run) / e2eMean(streamed[at]!));
  return {
    asked: 'no answer streamed: mean E2E within 5 % of all streamed',
    measured: `${percentMore(mean(values))} ± ${(100 * spread(values)).toFixed(1)}`,
    met: mean(values) <= 1.05,
  };
}

function breakingLoads(breaking: readonly Breaking[]): Figure[] {
  const found = [...new Set(breaking.map(({ title }) => title))].map((title) => {
    const cells = breaking.filter((cell) => cell.title === title);
    const own = mean(cells.find(({ policy }) => policy === ours)!.rates);
    const best = cells.reduce((leader, cell) => (mean(cell.rates) > mean(leader.rates) ? cell : leader));
    return {
      asked: `${title}: the load at which fewer than 90 % are in time is within 3 % of the best preset’s`,
      measured: `× ${digits(own)}; the best, ${best.policy}, × ${digits(mean(best.rates))}`,
      met: own >= 0.97 * mean(best.rates),
    };
  });
  const agents = breaking.filter(({ trace }) => trace === 'agent-sessions');
  const rateOf = (name: string): number => mean(agents.find(({ policy }) => policy === name)!.rates);
  const roundRobin = rateOf('round-robin');
  return [
    ...found,
    {
      asked: 'on agent sessions, at least 1.5 × round robin’s',
      measured: roundRobin === 0 ? 'round robin’s is none' : `${digits(rateOf(ours) / roundRobin)} ×`,
      met: rateOf(ours) >= 1.5 * roundRobin,
    },
  ];
}

/** Requests of the slowed endpoint over the mean of the others', before, in the last minute of slowness and after. */
export function recovery(drawings: readonly Drawing[]): { before: number; slow: number; after: number[] } {
  const { endpoint, fromSeconds, toSeconds } = slowed;
  const relativeShare = (from: number, to: number): number => {
    let own = 0;
    let all = 0;
    for (const { requestsOverTime } of drawings) {
      for (const bin of requestsOverTime.slice(from, to)) {
        own += bin[endpoint]!;
        all += bin.reduce((sum, count) => sum + count);
      }
    }
    return (own * (drawings[0]!.requestsOverTime[0]!.length - 1)) / (all - own);
  };
  const binSeconds = mean(
    drawings.map(({ lastArrivalSeconds, requestsOverTime }) => lastArrivalSeconds / requestsOverTime.length),
  );
  const first = Math.ceil(toSeconds / binSeconds);
  return {
    before: relativeShare(0, Math.floor(fromSeconds / binSeconds)),
    slow: relativeShare(Math.ceil(fromSeconds / binSeconds) + 2, first - 1),
    after: Array.from({ length: 5 }, (_, at) => relativeShare(first + at, first + at + 1)),
  };
}

type By = (own: number, best: number) => number;
const ratio: By = (own, other) => own / other;
const difference: By = (own, other) => other - own;

/** How far ours is behind the best of all in one scenario: the best by the mean over the seeds. */
function behindBest(measured: readonly Measured[], title: string, measure: Measure, sign: 1 | -1, by: By): Compared {
  const cells = measured.filter(({ scenario }) => scenario.title === title);
  const best = cells.reduce((leader, cell) =>
    sign * (meanOf(cell.runs, measure) - meanOf(leader.runs, measure)) < 0 ? cell : leader,
  );
  return { title, other: best.policy, values: bySeed(measured, title, best.policy, measure, by) };
}

function worst(all: readonly Compared[]): Compared {
  return all.reduce((leader, each) => (mean(each.values) > mean(leader.values) ? each : leader));
}

function atMost(asked: string, compared: Compared, most: number, show: (value: number) => string): Figure {
  const { title, other, values } = compared;
  const where =
    other === ours
      ? 'none is'
      : `at most ${show(mean(values))} (by seed ${values.map(show).join(', ')}): ${other} on ${title}`;
  return { asked, measured: where, met: mean(values) <= most };
}

function bySeed(measured: readonly Measured[], title: string, other: string, measure: Measure, by: By): number[] {
  const others = runsOf(measured, title, other);
  return runsOf(measured, title, ours).map((run, at) => by(measure(run), measure(others[at]!)));
}

function cellOf(measured: readonly Measured[], title: string, policy: string): Measured | undefined {
  return measured.find((cell) => cell.scenario.title === title && cell.policy === policy);
}

function runsOf(measured: readonly Measured[], title: string, policy: string): readonly PolicyResult[] {
  return cellOf(measured, title, policy)!.runs;
}

function scenariosOf(measured: readonly Measured[]): BenchScenario[] {
  return [...new Set(measured.map(({ scenario }) => scenario))];
}

function percent(share: number, places: number): string {
  return `${(100 * share).toFixed(places)} %`;
}

/** 1.031 as "+3.1 %". */
function percentMore(factor: number): string {
  return `${factor >= 1 ? '+' : '−'}${percent(Math.abs(factor - 1), 1)}`;
}
