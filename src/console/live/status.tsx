import { clock } from '../parts/text.ts';
import { useEffect, useReducer } from 'preact/hooks';
import { feed } from './feed.ts';
import { useFeed } from './use-feed.ts';

/** Whether what is shown is fresh, and the policy that decides. */
export function Status() {
  const { trouble, answeredAtMs, policy } = useFeed();
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    // A page whose gateway is gone gets no news: it must look at its own clock.
    const timer = setInterval(() => render(undefined), 1000);
    return () => clearInterval(timer);
  }, []);
  if (answeredAtMs === null) {
    return (
      <span class="status" role="status">
        <i class="lamp caution" />
        {trouble ?? 'asking'}
      </span>
    );
  }
  if (trouble !== null || feed.isStale) {
    return (
      <span class="status stale" role="alert">
        <i class="lamp danger" />
        not fresh: as of {clock(answeredAtMs)}
        {trouble === null ? '' : `, ${trouble}`}
      </span>
    );
  }
  return (
    <span class="status" role="status" title={policy === null ? '' : `policy ${policy.name}, ${policy.hash}`}>
      <i class="lamp clear" />
      live
      {policy !== null && <b>{policy.name}</b>}
    </span>
  );
}
