import type { Decision } from '../scheduler/decision.ts';

/** What an answer says of its way. `endpoint` is the one that served it, which a retry may have made another. */
export function responseHeaders(decision: Decision, endpoint: string | null): Record<string, string> {
  return {
    'x-request-id': decision.requestId,
    'x-signalbox-decision': decision.id,
    ...(endpoint === null ? {} : { 'x-signalbox-endpoint': endpoint }),
    // Names of plugins come from configuration: nothing in them may end the header.
    'x-signalbox-reason': decision.reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 200),
  };
}
