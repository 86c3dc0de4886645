import type { DecisionJson } from '../../admin/json.ts';
import { usePolled } from '../live/use-polled.ts';

/** A decision by its id or its request's, with what would have changed it; asked for anew until it has ended. */
export function useDecision(id: string): { decision: DecisionJson | null; trouble: string | null } {
  const path = `/api/decisions/${encodeURIComponent(id)}?flips=1`;
  const { answer, trouble } = usePolled<DecisionJson>(path, 1000, ({ outcome }) => outcome !== null);
  return { decision: answer, trouble };
}
