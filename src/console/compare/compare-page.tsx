import type { ShadowJson } from '../../admin/json.ts';
import { usePolled } from '../live/use-polled.ts';
import { share } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';
import { ShadowPolicy } from './shadow-policy.tsx';

/** Policies in shadow beside the one that decides. */
export function ComparePage() {
  const { answer, trouble } = usePolled<ShadowJson>('/api/shadow', 2000);
  if (answer === null) return <p class="empty">{trouble ?? 'Asking the gateway …'}</p>;
  const { live, limitShare, share: taken, policies } = answer;
  return (
    <>
      <h1 class="hidden">Compare</h1>
      <p class="about">
        <b>{live.name}</b> <code>{live.hash}</code> decides. Policies in shadow are asked what they would have picked,
        and have no effect; together they may take {share(limitShare)} of the scheduler's time, and took{' '}
        <Value of={taken} as={share} />.
      </p>
      {trouble !== null && <p class="bad">not fresh: {trouble}</p>}
      {policies.length === 0 && (
        <p class="empty">
          No policy runs in shadow. To compare on live traffic, start the gateway with one: <code>--shadow NAME</code>.
          To compare on recorded traffic: <code>signalbox replay --policy all</code>.
        </p>
      )}
      <div class="shadows">
        {policies.map((policy) => (
          <ShadowPolicy key={policy.name} policy={policy} live={live.name} />
        ))}
      </div>
    </>
  );
}
