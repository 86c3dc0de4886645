import { printable } from '../base/printable.ts';
import type { DecisionJson, ProfileJson } from './decision-schema.ts';
import { flipLines } from './flip-lines.ts';
import { number, percent, seconds, shortNames, table, type Names } from './text.ts';

/**
 * A Decision as a person reads it in a terminal: what was known, what was dropped, how it scored, what would have
 * changed it, what came of it. `sent` is false of one that was only asked for.
 */
export function explainTable(decision: DecisionJson, sent = true): string {
  const { policy, admission, attempts, shadow } = decision;
  const short = shortNames(Object.keys(decision.inputs));
  const out = [
    sent ? `decision ${decision.id}, request ${decision.requestId}` : 'not sent, only asked where it would go',
    `${decision.time}  ${decision.kind}${decision.streaming ? ', streaming' : ''}  ${decision.model}`,
    `${decision.promptTokens} prompt tokens; policy ${policy.name} (${policy.hash}), seed ${decision.seed}`,
  ];
  if (admission.leftOut.length > 0) out.push(`no room in the KV cache of ${admission.leftOut.join(', ')}`);
  if (admission.queuedSeconds >= 0.001) out.push(`held for ${seconds(admission.queuedSeconds)} before it was placed`);
  out.push('', ...inputLines(decision, short));
  for (const profile of decision.profiles) out.push('', ...profileLines(profile, short));

  const picked = sent ? `picked ${decision.picked}` : `would go to ${decision.picked}`;
  const none = sent ? 'not placed' : 'would not be placed';
  out.push('', decision.picked === null ? none : picked, `  because ${decision.reason}`);
  out.push(...disaggregationLines(decision, sent));
  if (attempts.length > 1 || attempts.some(({ endpoint }) => endpoint !== decision.picked)) {
    out.push('tried', ...attempts.map(({ endpoint, status, reason }) => `  ${endpoint}  ${status ?? '-'}  ${reason}`));
  }
  for (const { policy: other, picked, ttftSeconds, cachedTokens } of shadow) {
    const predicted = `first token after ${seconds(ttftSeconds)}, ${number(cachedTokens)} tokens cached`;
    out.push(`in shadow, ${other} would have picked ${picked === null ? 'none' : `${picked}: ${predicted}`}`);
  }
  if (decision.flips !== undefined) {
    const lines = flipLines(decision.flips, short, sent);
    if (lines.length > 0) out.push('', ...lines);
  }
  out.push('', ...outcomeLines(decision, sent));
  return `${out.map(printable).join('\n')}\n`;
}

function disaggregationLines({ disaggregation }: DecisionJson, sent: boolean): string[] {
  if (disaggregation === null) return [];
  const { by, split, reason, prefill, attempts } = disaggregation;
  const where = split ? `prefill ${sent ? 'went' : 'would go'} to ${prefill}` : 'prefill stays where decode is';
  const tried = attempts.map(({ endpoint, status, reason: why }) => `  ${endpoint}  ${status ?? '-'}  ${why}`);
  const isPlain = attempts.length === 1 && attempts[0]!.status === 200;
  return [where, `  because ${by}: ${reason}`, ...(isPlain || tried.length === 0 ? [] : ['prefill tried', ...tried])];
}

function inputLines(decision: DecisionJson, short: Names): string[] {
  const rows = Object.entries(decision.inputs).map(([endpoint, input]) => [
    `  ${short.of(endpoint)}`,
    number(input.cachedTokens),
    number(input.queuedPrefillTokens),
    number(input.inFlight),
    number(input.running),
    number(input.waiting),
    percent(input.kvUsage),
    input.ageMs === null ? '-' : seconds(input.ageMs / 1000),
  ]);
  if (rows.length === 0) return ['no endpoint was ready'];
  return [
    `known of the candidates${short.common === '' ? '' : ` (${short.common}…)`}`,
    ...table(['', 'cached tok', 'queued tok', 'in flight', 'running', 'waiting', 'KV', 'gauges age'], rows),
  ];
}

function profileLines(profile: ProfileJson, short: Names): string[] {
  const { candidateCount, candidates } = profile;
  const listed = candidates.length < candidateCount ? `, the best ${candidates.length} listed` : '';
  const out = [`profile ${profile.name}: ${candidateCount} candidates${listed}`];
  for (const { plugin, dropped } of profile.filters) {
    out.push(`  ${plugin} dropped ${dropped.length === 0 ? 'none' : ''}`.trimEnd());
    for (const { endpoint, reason } of dropped) out.push(`    ${short.of(endpoint)}: ${reason}`);
  }
  const isCost = profile.scorers[0]?.unit === 'seconds';
  const ranked = Object.entries(profile.totals).sort(([, a], [, b]) => (isCost ? a - b : b - a));
  if (profile.scorers.length > 0 && ranked.length > 0) {
    const header = [
      '',
      ...profile.scorers.map(({ plugin, weight }) => `${plugin.replace(/-scorer$/, '')} x${weight}`),
      'total',
      '',
    ];
    const rows = ranked.map(([endpoint, total]) => [
      `  ${short.of(endpoint)}`,
      ...profile.scorers.map(({ scores }) => score(scores[endpoint] ?? null, isCost)),
      score(total, isCost),
      profile.picker.picked[0] === endpoint ? '<- picked' : '',
    ]);
    out.push(...table(header, rows));
  }
  for (const { plugin, details } of profile.scorers) {
    const notes = Object.entries(details).filter(([, value]) => typeof value !== 'object' && value !== null);
    if (notes.length > 0)
      out.push(`  ${plugin}: ${notes.map(([name, value]) => `${name} ${String(value)}`).join(', ')}`);
  }
  const [first, second] = ranked;
  if (profile.picker.tied.length > 1) {
    out.push(`  tie of ${profile.picker.tied.length}, decided at random`);
  } else if (first !== undefined && second !== undefined) {
    out.push(`  ahead of the next by ${score(Math.abs(first[1] - second[1]), isCost)}`);
  }
  return out;
}

function outcomeLines({ predicted, outcome }: DecisionJson, sent: boolean): string[] {
  const header = ['', 'cached tokens', 'first token', 'whole answer', 'completion tokens', 'status'];
  const before = [number(predicted.cachedTokens), seconds(predicted.ttftSeconds), seconds(predicted.e2eSeconds)];
  if (outcome === null) {
    const columns = header.slice(0, 1 + before.length);
    return [...table(columns, [['predicted', ...before]]), ...(sent ? ['not ended yet'] : [])];
  }
  const after = [number(outcome.cachedTokens), seconds(outcome.ttftSeconds), seconds(outcome.e2eSeconds)];
  return table(header, [
    ['predicted', ...before],
    ['happened', ...after, number(outcome.completionTokens), String(outcome.status)],
  ]);
}

function score(value: number | null, isCost: boolean): string {
  if (value === null) return '-';
  return isCost ? `${value.toFixed(3)} s` : value.toFixed(3);
}
