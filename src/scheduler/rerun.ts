import type { Decision, DecisionInputs } from './decision.ts';
import { roleLabel } from './endpoint.ts';
import { newStates, type Policy } from './policy.ts';
import { schedule, type Schedule } from './schedule.ts';
import type { FleetView } from './view.ts';

/**
 * Decides again from what a Decision recorded; gives the endpoint's name, null when none was picked.
 * With the same policy it is the recorded pick, as long as no plugin of it keeps state or
 * hashes the prompt.
 */
export function rerun(decision: Decision, policy: Policy): string | null {
  const [picked] = scheduleAgain(decision, policy).picked;
  return picked === undefined ? null : decision.candidates[picked]!.endpoint;
}

interface Again extends Schedule {
  /** A plugin asked for a hash of the prompt, which no Decision keeps: the pick may be another than it was. */
  readonly hashedPrompt: boolean;
}

/** The same in full, on other inputs where given. Slots are positions in `decision.candidates`. */
export function scheduleAgain(decision: Decision, policy: Policy, inputs: DecisionInputs = decision.inputs): Again {
  let hashedPrompt = false;
  const { candidates } = decision;
  const view: FleetView = {
    nowMs: decision.nowMs,
    endpoints: candidates.map(({ endpoint, address, role }) => ({
      name: endpoint,
      address,
      labels: role === null ? {} : { [roleLabel]: role },
    })),
    eligible: Int32Array.from(candidates, (_, index) => index),
    inFlight: inputs.inFlight,
    queuedPrefillTokens: inputs.queuedPrefillTokens,
    queuedPrefillSeconds: inputs.queuedPrefillSeconds,
    contextTokens: inputs.contextTokens,
    waiting: inputs.waiting,
    running: inputs.running,
    othersInFlight: inputs.othersInFlight,
    kvUsage: inputs.kvUsage,
    gaugeAgeMs: inputs.ageMs,
    speed: inputs.speed,
    cachedTokens: () => inputs.cachedTokens,
    prefillSeconds: () => inputs.prefillSeconds,
    prefillShare: () => inputs.prefillShare,
    prefixHash: () => {
      hashedPrompt = true;
      return null;
    },
    prefixLookup: () => decision.prefixLookup ?? 'no match',
  };
  const request = {
    requestId: decision.requestId,
    model: decision.model,
    kind: decision.kind as 'other',
    streaming: decision.streaming,
    promptTokens: decision.promptTokens,
    promptCharacters: decision.promptCharacters,
    maxOutputTokens: decision.maxOutputTokens,
    splittable: decision.splittable,
    sessionEndpoint: decision.sessionEndpoint,
    headers: {},
  };
  const result = schedule(policy, newStates(policy), request, view, decision.seed);
  return { ...result, hashedPrompt };
}
