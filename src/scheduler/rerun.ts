import type { Decision } from './decision.ts';
import { roleLabel } from './endpoint.ts';
import { newStates, type Policy } from './policy.ts';
import { schedule } from './schedule.ts';
import type { FleetView } from './view.ts';

/**
 * Decides again from what a Decision recorded; gives the endpoint's name, null when none was picked.
 * With the same policy it is the recorded pick, as long as no plugin of it keeps state or
 * hashes the prompt.
 */
export function rerun(decision: Decision, policy: Policy): string | null {
  const { candidates, inputs } = decision;
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
    prefixLookup: () => decision.prefixLookup ?? 'no match',
  };
  const { picked } = schedule(
    policy,
    newStates(policy),
    {
      requestId: decision.requestId,
      model: decision.model,
      kind: decision.kind as 'other',
      streaming: decision.streaming,
      promptTokens: decision.promptTokens,
      promptCharacters: decision.promptCharacters,
      maxOutputTokens: decision.maxOutputTokens,
      sessionEndpoint: decision.sessionEndpoint,
      headers: {},
    },
    view,
    decision.seed,
  );
  return picked[0] === undefined ? null : candidates[picked[0]]!.endpoint;
}
