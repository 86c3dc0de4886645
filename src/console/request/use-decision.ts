import { useEffect, useState } from 'preact/hooks';
import type { DecisionJson } from '../../admin/json.ts';
import { ask, messageOf } from '../ask.ts';

const pollMs = 1000;

interface Asked {
  readonly decision: DecisionJson | null;
  readonly trouble: string | null;
}

/** A decision by its id or its request's, with what would have changed it; asked for anew until it has ended. */
export function useDecision(id: string): Asked {
  const [asked, setAsked] = useState<Asked>({ decision: null, trouble: null });
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isEnded = false;
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      if (document.hidden || isEnded) return;
      try {
        const decision = await ask<DecisionJson>(`/api/decisions/${encodeURIComponent(id)}?flips=1`, leaving.signal);
        isEnded = decision.outcome !== null;
        setAsked({ decision, trouble: null });
      } catch (error) {
        if (leaving.signal.aborted) return;
        setAsked(({ decision }) => ({ decision, trouble: messageOf(error) }));
      }
      if (!isEnded) timer = setTimeout(() => void look(), pollMs);
    };
    const follow = (): void => void look();
    document.addEventListener('visibilitychange', follow);
    void look();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', follow);
    };
  }, [id]);
  return asked;
}
