import type { DecisionJson, ProfileJson } from './decision-json.ts';

/** A Decision as a person reads it in a terminal: what was known, what was dropped, how it scored, what came of it. */
export function explainTable(decision: DecisionJson): string {
  const out: string[] = [];
  const { outcome, predicted, admission } = decision;
  out.push(`decision ${decision.id}   request ${decision.requestId}`);
  out.push(
    `${decision.time}   ${decision.kind} ${decision.model}${decision.streaming ? ', streaming' : ''}   ` +
      `${decision.promptTokens} prompt tokens   policy ${decision.policy.name} (${decision.policy.hash})`,
  );
  if (admission.queuedSeconds > 0) out.push(`held for ${seconds(admission.queuedSeconds)} before it was placed`);
  out.push('');
  out.push(...inputsTable(decision));
  for (const profile of decision.profiles) out.push('', ...profileLines(profile));

  const picked = decision.profiles.at(-1)?.picker.picked[0] ?? null;
  out.push('', picked === null ? `not placed: ${decision.reason}` : `picked ${picked}: ${decision.reason}`);
  if (decision.attempts.length > 1) {
    out.push('tried');
    for (const { endpoint, status, reason } of decision.attempts)
      out.push(`  ${endpoint}  ${status ?? '-'}  ${reason}`);
  }
  for (const { policy, picked: other } of decision.shadow) out.push(`${policy} would have picked ${other ?? 'none'}`);
  out.push('');
  out.push(
    ...table(
      ['', 'cached tokens', 'first token', 'whole answer', 'completion tokens', 'status'],
      [
        [
          'predicted',
          number(predicted.cachedTokens),
          seconds(predicted.ttftSeconds),
          seconds(predicted.e2eSeconds),
          '',
          '',
        ],
        outcome === null
          ? ['happened', 'not ended yet', '', '', '', '']
          : [
              'happened',
              number(outcome.cachedTokens),
              seconds(outcome.ttftSeconds),
              seconds(outcome.e2eSeconds),
              number(outcome.completionTokens),
              String(outcome.status),
            ],
      ],
    ),
  );
  return `${out.join('\n')}\n`;
}

function inputsTable(decision: DecisionJson): string[] {
  const rows = Object.entries(decision.inputs).map(([endpoint, input]) => [
    endpoint,
    number(input.inFlight),
    number(input.waiting),
    number(input.running),
    input.kvUsage === null ? '-' : `${(100 * input.kvUsage).toFixed(1)}%`,
    number(input.queuedPrefillTokens),
    number(input.cachedTokens),
    input.ageMs === null ? '-' : `${Math.round(input.ageMs)} ms`,
  ]);
  if (rows.length === 0) return ['no endpoint was ready'];
  return table(['known then', 'in flight', 'waiting', 'running', 'KV', 'queued', 'cached', 'gauge age'], rows);
}

function profileLines(profile: ProfileJson): string[] {
  const out = [`profile ${profile.name}, ${profile.candidateCount} candidates`];
  for (const { type, dropped, kept } of profile.filters) {
    out.push(`  ${type} kept ${kept.length}`);
    for (const { endpoint, reason } of dropped) out.push(`    dropped ${endpoint}: ${reason}`);
  }
  const isCost = profile.scorers[0]?.unit === 'seconds';
  const ranked = Object.entries(profile.totals).sort(([, a], [, b]) => (isCost ? a - b : b - a));
  if (ranked.length > 0) {
    const header = ['  endpoint', ...profile.scorers.map(({ type, weight }) => `${type} x${weight}`), 'total', ''];
    const rows = ranked.map(([endpoint, total]) => [
      `  ${endpoint}`,
      ...profile.scorers.map(({ scores }) => score(scores[endpoint] ?? null, isCost)),
      score(total, isCost),
      profile.picker.picked[0] === endpoint ? '<- picked' : '',
    ]);
    out.push(...table(header, rows));
  }
  for (const { type, details } of profile.scorers) {
    const notes = Object.entries(details).filter(([, value]) => typeof value !== 'object' && value !== null);
    if (notes.length > 0) out.push(`  ${type}: ${notes.map(([name, value]) => `${name} ${String(value)}`).join(', ')}`);
  }
  const [first, second] = ranked;
  if (profile.picker.tied.length > 1) {
    out.push(`  tie: ${profile.picker.tied.length} with the same total, one of them at random`);
  } else if (first !== undefined && second !== undefined) {
    out.push(`  margin to the next: ${score(Math.abs(first[1] - second[1]), isCost)}`);
  }
  return out;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

function number(value: number | null): string {
  return value === null ? '-' : Number.isInteger(value) ? String(value) : value.toFixed(1);
}

function score(value: number | null, isCost: boolean): string {
  if (value === null) return '-';
  return isCost ? `${value.toFixed(3)} s` : value.toFixed(3);
}

function seconds(value: number | null): string {
  if (value === null) return '-';
  return value < 1 ? `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} ms` : `${value.toFixed(2)} s`;
}
