import { nameText } from '../base/json-text.ts';
import type { Candidate, Decision } from '../scheduler/decision.ts';
import { earlierSteps, endpointJson, handled, levelOf, stepLines, timeText, type LogContext } from './log-steps.ts';

/**
 * What `decisionSteps` shows below the steps of scheduling, as lines of JSON. Most logs are written there, mostly a line
 * for each request, which is put together by hand.
 */
export function briefLines(decision: Decision, context: Required<LogContext>): string {
  const { verbosity } = context;
  const lines = stepLines(earlierSteps(decision, verbosity));
  const served = decision.candidates[decision.picked];
  if (served === undefined || verbosity < handled.verbosity) return lines;
  const model = nameText(decision.model);
  return (
    `${lines}{"level":"${levelOf(handled.verbosity)}","ts":"${timeText(decision.epochMs)}","msg":"${handled.message}"` +
    `,"x-request-id":${idText(decision.requestId)},"model":${model},"targetModel":${model}` +
    `,"endpoint":${endpointText(served, context)}}\n`
  );
}

/** Ids that we make, and most that others make, need no escapes. */
function idText(id: string): string {
  return /^[\w.:@/+=-]*$/.test(id) ? `"${id}"` : JSON.stringify(id);
}

/** By candidate, which stays the same until the fleet changes, and the namespace that it was written for. */
const endpointTexts = new WeakMap<Candidate, { readonly namespace: string; readonly text: string }>();

function endpointText(candidate: Candidate, context: LogContext): string {
  let known = endpointTexts.get(candidate);
  if (known?.namespace !== context.namespace) {
    known = { namespace: context.namespace, text: JSON.stringify(endpointJson(candidate, context)) };
    endpointTexts.set(candidate, known);
  }
  return known.text;
}
