import { useLayoutEffect, useReducer, useState } from 'preact/hooks';
import { feed } from './feed.ts';

/** Renders anew when the feed has changed, at most four times a second: also what changes before the first picture. */
export function useFeed(): typeof feed {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = feed.watch(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        render(undefined);
      }, 250);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, []);
  return feed;
}

/** False until the first answer, good or bad: before it nobody knows which endpoints there are to name. */
export function useHasAnswered(): boolean {
  const isThere = (): boolean => feed.endpoints !== null || feed.trouble !== null;
  const [hasAnswered, setHasAnswered] = useState(isThere);
  useLayoutEffect(() => (hasAnswered ? undefined : feed.watch(() => setHasAnswered(isThere()))), [hasAnswered]);
  return hasAnswered;
}
