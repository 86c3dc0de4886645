import { nameText, numberText } from '../base/json-text.ts';
import { knownOrNull } from '../base/unknown.ts';
import type { Decision, DecisionInputs, ProfileRecord } from '../scheduler/decision.ts';
import type { DecisionJson } from './decision-schema.ts';
import { listedCandidates, type Listed } from './listed-candidates.ts';

/** Of the JSON form. A field that is added leaves it as it is; one that is removed or means something else does not. */
export const decisionVersion = 1;

/**
 * A Decision as JSON (`DecisionJson`), as the admin API, the journal and `--json` show it. Put together by hand, with
 * numbers to twelve places: a line for each request is written to the journal's files, and `JSON.stringify` of the same
 * costs five times as much.
 */
export function decisionText(decision: Decision): string {
  const listed = listedCandidates(decision);
  const { id, requestId, model, kind, streaming, promptTokens, policy, admission, predicted, outcome } = decision;
  const picked = decision.picked < 0 ? 'null' : listed.names[decision.picked]!;
  let text = `{"version":${decisionVersion},"id":${JSON.stringify(id)},"requestId":${JSON.stringify(requestId)}`;
  text += `,"time":"${new Date(decision.epochMs).toISOString()}","model":${nameText(model)},"kind":${nameText(kind)}`;
  text += `,"streaming":${streaming},"promptTokens":${numberText(promptTokens)}`;
  text += `,"prefixBlocks":${prefixBlocksText(decision)}`;
  text += `,"policy":{"name":${nameText(policy.name)},"hash":${nameText(policy.hash)}},"seed":${decision.seed}`;
  text += `,"admission":${admissionText(admission)}`;
  text += `,"inputs":${inputsText(decision.inputs, listed)},"profiles":[`;
  for (const [index, profile] of decision.profiles.entries()) {
    if (index > 0) text += ',';
    text += profileText(profile, listed);
  }
  text += `],"reason":${JSON.stringify(decision.reason)}`;
  text += `,"predicted":{"cachedTokens":${numberText(predicted.cachedTokens)}`;
  text += `,"ttftSeconds":${numberText(predicted.ttftSeconds)},"e2eSeconds":${numberText(predicted.e2eSeconds)}}`;
  text += `,"schedulerSeconds":${numberText(decision.schedulerSeconds)},"picked":${picked}`;
  text += `,"disaggregation":${disaggregationText(decision, listed)},"attempts":${attemptsText(decision.attempts)}`;
  text += `,"shadow":${decision.shadow.length === 0 ? '[]' : shadowText(decision)}`;
  return `${text},"outcome":${outcome === null ? 'null' : outcomeText(outcome)}}`;
}

/** The same as an object. */
export function decisionJson(decision: Decision): DecisionJson {
  return JSON.parse(decisionText(decision)) as DecisionJson;
}

function prefixBlocksText({ prefixBlocks }: Decision): string {
  if (prefixBlocks === null) return 'null';
  const { buffer, byteOffset, byteLength } = prefixBlocks.hashes;
  const digits = Buffer.from(buffer, byteOffset, byteLength).toString('hex');
  return `{"tokensPerBlock":${numberText(prefixBlocks.tokensPerBlock)},"hashes":"${digits}"}`;
}

function admissionText({
  verdict,
  queuedSeconds,
  band,
  fairnessId,
  ahead,
  shed,
  leftOut,
}: Decision['admission']): string {
  const waited = `"queuedSeconds":${numberText(queuedSeconds)},"band":${nameText(band)},"fairnessId":${nameText(fairnessId)}`;
  const behind =
    ahead === null ? 'null' : `{"requests":${numberText(ahead.requests)},"seconds":${numberText(ahead.seconds)}}`;
  const why = shed === null ? 'null' : nameText(shed);
  return `{"verdict":"${verdict}",${waited},"ahead":${behind},"shed":${why},"leftOut":[${leftOut.map(nameText).join()}]}`;
}

function inputsText(inputs: DecisionInputs, { indexes, keys }: Listed): string {
  let text = '';
  for (const index of indexes) {
    text += `${text === '' ? '{' : '},'}${keys[index]!}{"waiting":${numberText(inputs.waiting[index]!)}`;
    text += `,"running":${numberText(inputs.running[index]!)}`;
    text += `,"othersInFlight":${numberText(inputs.othersInFlight[index]!)}`;
    text += `,"kvUsage":${numberText(inputs.kvUsage[index]!)}`;
    text += `,"inFlight":${numberText(inputs.inFlight[index]!)}`;
    text += `,"queuedPrefillTokens":${numberText(inputs.queuedPrefillTokens[index]!)}`;
    text += `,"queuedPrefillSeconds":${numberText(inputs.queuedPrefillSeconds[index]!)}`;
    text += `,"contextTokens":${numberText(inputs.contextTokens[index]!)}`;
    text += `,"cachedTokens":${numberText(inputs.cachedTokens[index]!)}`;
    text += `,"prefillSeconds":${numberText(inputs.prefillSeconds[index]!)}`;
    text += `,"ageMs":${numberText(inputs.ageMs[index]!)},"speed":${numberText(inputs.speed[index]!)}`;
    text += `,"prefillShare":${numberText(inputs.prefillShare[index]!)}`;
  }
  return text === '' ? '{}' : `${text}}}`;
}

function profileText(profile: ProfileRecord, listed: Listed): string {
  const { candidates, scored, picker } = profile;
  let text = `{"name":${nameText(profile.name)},"candidateCount":${candidates.length}`;
  text += `,"candidates":${listed.addresses},"filters":[`;
  for (const [index, { plugin, type, kept, dropped }] of profile.filters.entries()) {
    // Where nothing was dropped so far, it is the same list.
    const names = listed.isAll && kept === candidates ? listed.allNames : namesText(kept, listed);
    text += `${index > 0 ? ',' : ''}{"plugin":${nameText(plugin)},"type":${nameText(type)},"kept":${names}`;
    text += `,"dropped":${droppedText(dropped, listed)}}`;
  }
  text += '],"scorers":[';
  for (const [index, { plugin, type, unit, weight, scores, columns, notes }] of profile.scorers.entries()) {
    text += `${index > 0 ? ',' : ''}{"plugin":${nameText(plugin)},"type":${nameText(type)},"unit":"${unit}"`;
    text += `,"weight":${numberText(weight)},"scores":${columnText(scores, scored, listed)},"details":{`;
    let comma = '';
    for (const name in notes) {
      if (name in columns) continue;
      text += `${comma}${nameText(name)}:${JSON.stringify(notes[name])}`;
      comma = ',';
    }
    for (const name in columns) {
      text += `${comma}${nameText(name)}:${columnText(columns[name]!, scored, listed)}`;
      comma = ',';
    }
    text += '}}';
  }
  text += `],"totals":${columnText(profile.totals, scored, listed)},"picker":{"plugin":${nameText(picker.plugin)}`;
  return `${text},"tied":${namesText(picker.tied, listed)},"picked":${namesText(picker.picked, listed)}}}`;
}

/** A column over the scored candidates, by endpoint. */
function columnText(column: Float64Array, scored: Int32Array, { keys, has, isAll }: Listed): string {
  let text = '';
  for (let i = 0; i < scored.length; i++) {
    const index = scored[i]!;
    if (isAll || has(index)) text += `${text === '' ? '{' : ','}${keys[index]!}${numberText(column[i]!)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function droppedText(dropped: ProfileRecord['filters'][number]['dropped'], { names, has }: Listed): string {
  let text = '';
  for (const { candidate, reason } of dropped) {
    if (!has(candidate)) continue;
    text += `${text === '' ? '' : ','}{"endpoint":${names[candidate]!},"reason":${nameText(reason)}}`;
  }
  return `[${text}]`;
}

function namesText(indexes: Int32Array, { names, has }: Listed): string {
  let text = '';
  for (const index of indexes) if (has(index)) text += text === '' ? names[index]! : `,${names[index]!}`;
  return `[${text}]`;
}

function attemptsText(attempts: Decision['attempts']): string {
  let text = '';
  for (const { endpoint, status, reason } of attempts) {
    text += `${text === '' ? '' : ','}{"endpoint":${nameText(endpoint)},"status":${status},"reason":${nameText(reason)}}`;
  }
  return `[${text}]`;
}

function disaggregationText({ disaggregation }: Decision, { names }: Listed): string {
  if (disaggregation === null) return 'null';
  const { by, split, reason, details, prefill, attempts } = disaggregation;
  const where = prefill < 0 ? 'null' : names[prefill]!;
  const why = `"by":${nameText(by)},"split":${split},"reason":${JSON.stringify(reason)},"details":${JSON.stringify(details)}`;
  return `{${why},"prefill":${where},"attempts":${attemptsText(attempts)}}`;
}

function shadowText({ shadow }: Decision): string {
  return JSON.stringify(
    shadow.map(({ policy, picked, ttftSeconds, cachedTokens }) => ({
      policy,
      picked,
      ttftSeconds: knownOrNull(ttftSeconds),
      cachedTokens: knownOrNull(cachedTokens),
    })),
  );
}

function outcomeText(outcome: NonNullable<Decision['outcome']>): string {
  const { status, endpoint, promptTokens, cachedTokens, ttftSeconds, e2eSeconds, completionTokens } = outcome;
  const or = (value: number | null | undefined): string => numberText(value ?? NaN);
  return (
    `{"status":${status},"endpoint":${endpoint === null ? 'null' : nameText(endpoint)},"promptTokens":${or(promptTokens)}` +
    `,"cachedTokens":${or(cachedTokens)},"ttftSeconds":${or(ttftSeconds)},"e2eSeconds":${or(e2eSeconds)}` +
    `,"completionTokens":${or(completionTokens)}}`
  );
}
