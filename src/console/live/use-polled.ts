import { useEffect, useState } from 'preact/hooks';
import { ask, messageOf } from '../ask.ts';

interface Polled<Answer> {
  /** The last answer; null before the first. */
  readonly answer: Answer | null;
  /** Why there is none since. */
  readonly trouble: string | null;
}

/** An address of the admin API, asked again and again while the page is seen, until `isLast` says of an answer that it is. */
export function usePolled<Answer>(
  path: string,
  everyMs: number,
  isLast: (answer: Answer) => boolean = () => false,
): Polled<Answer> {
  const [polled, setPolled] = useState<Polled<Answer>>({ answer: null, trouble: null });
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isDone = false;
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      if (document.hidden || isDone) return;
      try {
        const answer = await ask<Answer>(path, { signal });
        isDone = isLast(answer);
        setPolled({ answer, trouble: null });
      } catch (error) {
        if (signal.aborted) return;
        setPolled(({ answer }) => ({ answer, trouble: messageOf(error) }));
      }
      clearTimeout(timer);
      if (!isDone && !signal.aborted) timer = setTimeout(() => void look(), everyMs);
    };
    const follow = (): void => void look();
    document.addEventListener('visibilitychange', follow);
    void look();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', follow);
    };
  }, [path]);
  return polled;
}
