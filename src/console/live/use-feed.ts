import { useEffect, useReducer } from 'preact/hooks';
import { feed } from './feed.ts';

/** Renders anew when the feed has changed, at most four times a second. */
export function useFeed(): typeof feed {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
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
