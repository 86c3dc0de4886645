import { knownOrNull } from '../base/unknown.ts';
import type { Candidate, Decision, ProfileRecord } from '../scheduler/decision.ts';

/**
 * The walkthrough's log of one request, as JSON lines at verbosity 4: its messages, levels, loggers and order, with
 * what the original lost (scores) and without what it leaked (header values). Levels are zap's: V(n) is `Level(-n)`.
 * Messages keep the original's spelling, because people search for them.
 */
interface LogStep {
  /** The verbosity at which it is shown; 0 is always. */
  readonly verbosity: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface LogContext {
  /** Namespace of the pods. */
  readonly namespace: string;
  /** Steps above it are not made; all are, where it is absent. */
  readonly verbosity?: number;
}

/** What is known when the decision has been made: everything up to `Request handled`. */
export function decisionSteps(decision: Decision, context: LogContext): LogStep[] {
  const step = stepMaker(decision);
  if ((context.verbosity ?? stepsVerbosity) < stepsVerbosity) {
    const steps = [...expectedAndSplitSteps(decision, step), ...handledSteps(decision, context, step)];
    return steps.filter(({ verbosity }) => verbosity <= context.verbosity!);
  }
  const request = requestText(decision);
  const pod = (index: number): object => podJson(decision, index, context);
  const pods = (indexes: ArrayLike<number>): object[] => Array.from(indexes, (index) => pod(index));

  const everything = decision.candidates.map((_, index) => index);
  const steps = [step(4, 'LLM request assembled', { request })];
  if (decision.disaggregation === null) {
    const sic = 'Disagregated prefill/decode disabled - scheduling to decode worker only';
    steps.push(step(4, sic, { request }, 'PD'));
  }
  for (const [index, profile] of decision.profiles.entries()) {
    // The original decided between its first and its second pass.
    if (index === 1) steps.push(...splitSteps(decision, step));
    const which = decision.profiles.length === 1 ? {} : { profile: profile.name };
    steps.push(step(4, 'Scheduling a request', { request, ...which, metrics: pods(everything) }));
    steps.push(step(4, 'Before running filter plugins', { request, pods: pods(profile.candidates) }));
    for (const { plugin, type, kept, dropped } of profile.filters) {
      steps.push(
        step(4, 'Running filter plugin', { request, plugin }),
        step(4, 'Filter plugin result', {
          request,
          plugin,
          pods: pods(kept),
          dropped: dropped.map(({ candidate, reason }) => ({ pod: decision.candidates[candidate]!.endpoint, reason })),
          ...(plugin === type ? {} : { type }),
        }),
      );
    }
    steps.push(
      step(4, 'After running filter plugins', { request, pods: names(decision, profile.scored) }),
      step(4, 'Before running scorer plugins', { request, pods: pods(profile.scored) }),
    );
    for (const scorer of profile.scorers) {
      const scores = byName(decision, profile, scorer.scores);
      steps.push(step(4, 'Running scorer', { request, scorer: scorer.plugin }));
      if (scorer.type === 'prefix-aware-scorer') {
        const reason = scorer.notes['lookup'];
        const found = reason === 'match';
        const cachedTokens = byName(decision, profile, scorer.columns['cachedTokens'] ?? scorer.scores);
        const what = found ? { scores, cachedTokens } : { scores: {}, reason };
        steps.push(step(4, 'Got pod scores', what, scorer.plugin));
        if (!found) steps.push(step(4, 'No scores found for pods', { reason }, scorer.plugin));
      }
      steps.push(step(4, 'After running scorer', { request, scorer: scorer.plugin, weight: scorer.weight, scores }));
    }
    const totals = byName(decision, profile, profile.totals);
    const { picker } = profile;
    const best = picker.type === 'min-cost-picker' ? 'least cost' : 'max score';
    steps.push(
      step(4, 'After running scorer plugins', { request, scores: totals }),
      step(4, 'Before running picker plugin', { request, pods: totals }),
      step(4, `Selecting a pod with the ${best} from ${profile.scored.length} candidates`, { scores: totals }),
    );
    if (picker.tied.length > 1) {
      steps.push(
        step(4, `Selecting a random pod from ${picker.tied.length} candidates`, { pods: names(decision, picker.tied) }),
      );
    }
    const winner = picker.picked[0];
    if (winner === undefined) {
      steps.push(step(4, 'No pod was left to pick', { request, reason: decision.reason }));
      continue;
    }
    const at = profile.scored.indexOf(winner);
    steps.push(
      step(4, 'After running picker plugin', {
        request,
        result: { TargetPod: { Pod: pod(winner), Score: profile.totals[at] } },
        ...(index === decision.primaryProfile ? { reason: decision.reason } : {}),
      }),
    );
    for (const { plugin, type } of profile.scorers) {
      if (type !== 'prefix-aware-scorer') continue;
      steps.push(step(4, 'Running post-schedule plugin', { plugin }), expectedStep(decision, winner, plugin, step));
    }
  }
  if (decision.profiles.length === 1) steps.push(...splitSteps(decision, step));
  return [...steps, ...handledSteps(decision, context, step)];
}

/** From here on the steps of scheduling are shown. */
export const stepsVerbosity = 4;

/** Steps as JSON lines. */
export function stepLines(steps: readonly LogStep[]): string {
  let lines = '';
  for (const { fields } of steps) lines += `${JSON.stringify(fields)}\n`;
  return lines;
}

/** What is shown below that before `Request handled`. */
export function earlierSteps(decision: Decision, verbosity: number): readonly LogStep[] {
  if (decision.disaggregation === null && !decision.profiles.some(isPrefixAware)) return [];
  return expectedAndSplitSteps(decision, stepMaker(decision)).filter((step) => step.verbosity <= verbosity);
}

function isPrefixAware({ scoredBy }: ProfileRecord): boolean {
  return scoredBy.some(({ type }) => type === 'prefix-aware-scorer');
}

function expectedAndSplitSteps(decision: Decision, step: Step): LogStep[] {
  const steps: LogStep[] = [];
  for (const [index, profile] of decision.profiles.entries()) {
    if (index === 1) steps.push(...splitSteps(decision, step));
    const winner = profile.picker.picked[0];
    if (winner === undefined) continue;
    for (const { plugin, type } of profile.scoredBy) {
      if (type === 'prefix-aware-scorer') steps.push(expectedStep(decision, winner, plugin, step));
    }
  }
  if (decision.profiles.length === 1) steps.push(...splitSteps(decision, step));
  return steps;
}

function stepMaker({ epochMs, requestId }: Decision): Step {
  return (verbosity, msg, fields = {}, logger) => ({
    verbosity,
    fields: { ...head(epochMs, verbosity, logger), msg, 'x-request-id': requestId, ...fields },
  });
}

function expectedStep(decision: Decision, winner: number, plugin: string, step: Step): LogStep {
  const pod = decision.candidates[winner]!.endpoint;
  const note = 'the prompt is expected to be cached there; nothing has been sent yet';
  return step(0, 'PostResponse called', { pod, note }, plugin);
}

/** The one line that most requests have. */
export const handled = { verbosity: 2, message: 'Request handled' } as const;

function handledSteps(decision: Decision, context: LogContext, step: Step): LogStep[] {
  const served = decision.candidates[decision.picked];
  if (served === undefined) return [];
  const { model } = decision;
  return [
    step(handled.verbosity, handled.message, { model, targetModel: model, endpoint: endpointJson(served, context) }),
  ];
}

type Step = (verbosity: number, msg: string, fields?: Record<string, unknown>, logger?: string) => LogStep;

/** Whether the request goes to two endpoints, and why. */
function splitSteps({ disaggregation, candidates, picked }: Decision, step: Step): LogStep[] {
  if (disaggregation === null) return [];
  const { by, split, reason, details, prefill } = disaggregation;
  const steps: LogStep[] = [];
  const { uncachedTokens, cachedTokens, promptTokens } = details;
  if (typeof uncachedTokens === 'number') {
    const suffix = `Non-cached suffix is ${split ? 'larger' : 'smaller'} than threshold`;
    const hitPercentage = Math.round((100 * Number(cachedTokens)) / Math.max(1, Number(promptTokens)));
    steps.push(step(0, `${suffix}, using ${split ? 'PD' : 'decode'} scheduler`, { hitPercentage, ...details }, 'PD'));
  }
  const message = split ? 'Scheduling to separate Prefill and Decode workers' : 'Scheduling to decode worker only';
  const pods = split ? { prefill: candidates[prefill]?.endpoint, decode: candidates[picked]?.endpoint } : {};
  return [...steps, step(4, message, { decider: by, reason, details, ...pods }, 'PD')];
}

/** The least verbosity that shows anything of it. */
export const outcomeVerbosity = 3;

/** What is known when the answer has ended. */
export function outcomeSteps(decision: Decision, endedEpochMs: number): LogStep[] {
  const { outcome } = decision;
  if (outcome === null) return [];
  const { completionTokens, promptTokens = null } = outcome;
  const common = { 'x-request-id': decision.requestId };
  return [
    {
      verbosity: 4,
      fields: {
        ...head(endedEpochMs, 4),
        msg: 'LLM response assembled',
        ...common,
        response: {
          RequestId: decision.requestId,
          Status: outcome.status,
          IsStreaming: decision.streaming,
          EndOfStream: true,
          endpoint: outcome.endpoint,
        },
        attempts: decision.attempts.map(({ endpoint, status, reason }) => ({ endpoint, status, reason })),
        ...(decision.disaggregation === null ? {} : { prefillAttempts: decision.disaggregation.attempts }),
      },
    },
    {
      verbosity: 3,
      fields: {
        ...head(endedEpochMs, 3),
        msg: 'Response generated',
        ...common,
        usage: {
          PromptTokens: promptTokens,
          CompletionTokens: completionTokens,
          TotalTokens: promptTokens === null || completionTokens === null ? null : promptTokens + completionTokens,
          CachedTokens: outcome.cachedTokens,
        },
        predicted: { CachedTokens: knownOrNull(decision.predicted.cachedTokens) },
        ttftSeconds: outcome.ttftSeconds,
        e2eSeconds: outcome.e2eSeconds,
      },
    },
  ];
}

function head(epochMs: number, verbosity: number, logger?: string): Record<string, unknown> {
  return {
    level: levelOf(verbosity),
    ts: timeText(epochMs),
    ...(logger === undefined ? {} : { logger }),
  };
}

export function levelOf(verbosity: number): string {
  return verbosity === 0 ? 'info' : `Level(-${verbosity})`;
}

let latest = { second: NaN, text: '' };

/** To the second, which most lines share with the one before. */
export function timeText(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second !== latest.second) latest = { second, text: `${new Date(epochMs).toISOString().slice(0, 19)}Z` };
  return latest.text;
}

/** The original printed every header with its value here, authorization included; names are enough. */
function requestText(decision: Decision): string {
  return (
    `TargetModel: ${decision.model}, PromptLength: ${knownOrNull(decision.promptCharacters) ?? 'unknown'}, ` +
    `PromptTokens: ${decision.promptTokens}, Headers: [${decision.headerNames.join(' ')}]`
  );
}

function podJson(decision: Decision, index: number, context: LogContext): object {
  const candidate = decision.candidates[index]!;
  const { inputs } = decision;
  return {
    ...endpointJson(candidate, context),
    Role: candidate.role,
    InFlight: knownOrNull(inputs.inFlight[index]),
    RunningQueueSize: knownOrNull(inputs.running[index]),
    WaitingQueueSize: knownOrNull(inputs.waiting[index]),
    KVCacheUsagePercent: knownOrNull(inputs.kvUsage[index]),
    QueuedPrefillTokens: knownOrNull(inputs.queuedPrefillTokens[index]),
    CachedTokens: knownOrNull(inputs.cachedTokens[index]),
    GaugeAgeMs: knownOrNull(inputs.ageMs[index]),
  };
}

export function endpointJson(candidate: Candidate, context: LogContext): object {
  return {
    NamespacedName: { Namespace: context.namespace, Name: candidate.endpoint },
    Address: candidate.address,
  };
}

function names(decision: Decision, indexes: Int32Array): string[] {
  return Array.from(indexes, (index) => decision.candidates[index]!.endpoint);
}

function byName(decision: Decision, profile: ProfileRecord, column: Float64Array): Record<string, number | null> {
  return Object.fromEntries(
    Array.from(profile.scored, (index, i) => [decision.candidates[index]!.endpoint, knownOrNull(column[i])]),
  );
}
