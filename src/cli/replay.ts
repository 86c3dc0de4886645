import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { parseDurationMs } from '../base/duration.ts';
import { SignalboxError } from '../base/errors.ts';
import { parseYaml } from '../base/yaml.ts';
import type { HardwareProfile } from '../engine/model/profiles.ts';
import { compare } from '../replay/compare.ts';
import type { Comparison } from '../replay/compare.ts';
import { parseFleetEvent } from '../replay/fleet-events.ts';
import { policiesNamed } from '../replay/policies.ts';
import { profileNamed } from '../replay/profile-file.ts';
import { comparisonJson } from '../replay/json.ts';
import { breakingTable, resultTable, sweepTable } from '../replay/table.ts';
import type { JournalPart } from '../traffic/trace/decisions.ts';
import type { Scenario } from '../replay/scenario.ts';
import { progressBar } from '../replay/progress.ts';

interface ReplayFlags {
  readonly trace: string;
  readonly after?: number;
  readonly before?: number;
  readonly model?: string;
  readonly endpoints: number;
  readonly profile: string;
  readonly roles?: readonly string[];
  readonly kvTokens?: number;
  readonly policy: string;
  readonly rate: number;
  readonly seed: number;
  readonly sessions?: number;
  readonly maxTurns: number;
  readonly maxPromptTokens: number;
  readonly thinkTimeCap: number;
  readonly sessionGap: number;
  readonly sloTtft: number;
  readonly sloTpot: number;
  readonly staleness: number;
  readonly event: readonly string[];
  readonly stream: boolean;
  readonly sweep?: readonly number[];
  readonly breakingLoad: boolean;
  readonly processes: number;
  readonly json: boolean;
  readonly report?: string;
}

const eventsFile = z.strictObject({ events: z.array(z.string()) });

export function replayCommand(): Command {
  return new Command('replay')
    .description('Compare policies on recorded traffic: the live scheduler, simulated engines, a virtual clock.')
    .option('--trace <file|name>', 'a trace file, or a shipped one by name', 'mooncake-conversation')
    .option('--after <time>', 'of a journal of Decisions, those from then on (as in 2026-08-04T09:00Z)', epochMs)
    .option('--before <time>', 'of a journal of Decisions, those before', epochMs)
    .option('--model <name>', 'of a journal of Decisions, those for this model')
    .option('--endpoints <n>', 'endpoints in the fleet', wholeNumber(1, 256), 8)
    .option('--profile <names>', 'hardware profile or profile file; several, by commas, take turns', 'qwen3-32b-2xh100')
    .option('--roles <names>', 'prefill, decode or both; several, by commas, take turns (default: none)', roles)
    .option('--kv-tokens <n>', "tokens an endpoint's KV cache holds (default: as the profile says)", tokenCount)
    .option('--policy <names>', 'presets or EndpointPickerConfig files, by commas, or "all"', 'all')
    .option('--rate <x>', 'arrivals this many times as dense as recorded', positive, 1)
    .option('--seed <n>', 'of everything that chance decides', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--sessions <n>', 'replay only so many sessions', wholeNumber(1, 1e9))
    .option('--max-turns <n>', 'end a session after so many turns', wholeNumber(1, 1e9), 25)
    .option('--max-prompt-tokens <n>', 'end a session before a longer prompt', tokenCount, 131_072)
    .option('--think-time-cap <duration>', 'longest pause between turns', duration, 60_000)
    .option('--session-gap <duration>', 'mean time between starts of sessions with no recorded start', duration, 5000)
    .option('--slo-ttft <seconds>', 'TTFT that is in time', positive, 5)
    .option('--slo-tpot <seconds>', 'TPOT that is in time', positive, 0.06)
    .option('--staleness <duration>', 'time between two looks at the gauges', duration, 50)
    .option('--event <event>', '"600s 3 slow 0.33", "… fail", "… return", or a YAML file of such `events`', collect, [])
    .option('--no-stream', 'answers come whole, so that no first token is seen')
    .option('--sweep <rates>', 'also at these rates, by commas', rates)
    .option('--breaking-load', 'find the rate above which fewer than 90 % are in time', false)
    .option('--processes <n>', 'policies run beside each other', wholeNumber(1, 256), availableParallelism())
    .option('--json', 'print one JSON document', false)
    .option('--report <file>', 'write a report with plots (HTML, self-contained)')
    .action(run);
}

async function run(flags: ReplayFlags): Promise<void> {
  const scenario = scenarioOf(flags);
  const progress = progressBar(process.stderr, `replay ${flags.trace}`);
  const comparison = await compare({
    scenario,
    policies: await policiesNamed(flags.policy),
    rates: flags.sweep ?? [],
    breakingShare: flags.breakingLoad ? 0.9 : null,
    processes: flags.processes,
    onProgress: (share) => progress.show(share),
  }).finally(() => progress.end());
  if (flags.report !== undefined) {
    const { replayReport } = await import('../replay/report/report.ts');
    writeReport(flags.report, replayReport(comparison));
  }
  process.stdout.write(flags.json ? `${JSON.stringify(comparisonJson(comparison), null, 2)}\n` : textOf(comparison));
}

function textOf(comparison: Comparison): string {
  const { scenario, runs } = comparison;
  const requests = runs[0]?.result.requests ?? 0;
  const lines = [
    `${scenario.trace}: ${requests} requests over ${scenario.profiles.length} endpoints (${profileSummary(scenario)}), ` +
      `rate ×${scenario.rate}, seed ${scenario.seed}; in SLO: TTFT ≤ ${scenario.slo.ttftSeconds} s and TPOT ≤ ${scenario.slo.tpotSeconds * 1000} ms`,
    '',
    resultTable(runs.map(({ result }) => result)),
  ];
  if (comparison.sweep.length > 0) lines.push('Share in SLO by rate', sweepTable(comparison));
  if (comparison.breaking !== null) lines.push('Greatest rate with 90 % in SLO', breakingTable(comparison.breaking));
  return lines.join('\n');
}

function profileSummary({ profiles }: Scenario): string {
  return [...new Set(profiles.map(({ name }) => name))].join(', ');
}

function scenarioOf(flags: ReplayFlags): Scenario {
  const kinds = flags.profile.split(',').map((name) => withKv(profileNamed(name.trim()), flags.kvTokens));
  const events = flags.event.flatMap((text) =>
    existsSync(text) ? parseYaml(readFileSync(text, 'utf8'), text, eventsFile).events : [text],
  );
  return {
    trace: flags.trace,
    part: partOf(flags),
    profiles: Array.from({ length: flags.endpoints }, (_, number) => kinds[number % kinds.length]!),
    roles: Array.from({ length: flags.endpoints }, (_, number) => flags.roles?.[number % flags.roles.length] ?? null),
    events: events.map((text) => parseFleetEvent(text, flags.endpoints)),
    rate: flags.rate,
    seed: flags.seed,
    sessions: flags.sessions ?? null,
    maxTurns: flags.maxTurns,
    maxPromptTokens: flags.maxPromptTokens,
    thinkTimeCapMs: flags.thinkTimeCap,
    sessionGapMs: flags.sessionGap,
    stalenessMs: flags.staleness,
    knowledge: 'router',
    streaming: flags.stream,
    slo: { ttftSeconds: flags.sloTtft, tpotSeconds: flags.sloTpot },
  };
}

function partOf({ after, before, model }: ReplayFlags): JournalPart | null {
  if (after === undefined && before === undefined && model === undefined) return null;
  return { afterMs: after ?? null, beforeMs: before ?? null, model: model ?? null };
}

function withKv(profile: HardwareProfile, kvTokens: number | undefined): HardwareProfile {
  return kvTokens === undefined ? profile : { ...profile, kvCacheTokens: kvTokens };
}

function writeReport(file: string, html: string): void {
  try {
    writeFileSync(file, html);
  } catch (error) {
    throw new SignalboxError('environment', `The report cannot be written to ${file}.`, { cause: error });
  }
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

function epochMs(text: string): number {
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('Expected a time, as in 2026-08-04T09:00Z.');
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

function tokenCount(text: string): number {
  const parts = /^(\d+(?:\.\d+)?)([kM])?$/.exec(text.trim());
  const value = parts === null ? 0 : Number(parts[1]) * (parts[2] === 'M' ? 1e6 : parts[2] === 'k' ? 1000 : 1);
  if (value >= 1) return Math.floor(value);
  throw new InvalidArgumentError('Expected tokens, as in 275000, 275k or 1.5M.');
}

function roles(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => ['prefill', 'decode', 'both'].includes(name))) return names;
  throw new InvalidArgumentError('Expected prefill, decode or both, as in prefill,decode,decode.');
}

function duration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== null && ms > 0) return ms;
  throw new InvalidArgumentError('Expected a duration above 0, as in 50ms, 60s or 10m.');
}

function rates(text: string): number[] {
  return text.split(',').map(positive);
}

function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
