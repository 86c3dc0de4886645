import { useShortcuts } from '../keys.ts';
import { feed } from '../live/feed.ts';
import { clock, count } from '../parts/text.ts';
import { Way } from '../parts/way.tsx';
import { go } from '../route.ts';
import { DecisionView } from './decision-view.tsx';
import { useDecision } from './use-decision.ts';

/** Why one request went where it went. */
export function RequestPage({ id }: { id: string }) {
  const { decision, trouble } = useDecision(id);
  const json = `/api/decisions/${encodeURIComponent(id)}?flips=1`;
  const move = (by: number): void => {
    const { rows } = feed.decisions;
    const at = rows.findIndex((row) => row.id === (decision?.id ?? id));
    const next = rows[at + by];
    if (at >= 0 && next !== undefined) go(`/requests/${encodeURIComponent(next.id)}`, 'replace');
  };
  useShortcuts([
    { keys: ['j', 'ArrowRight'], does: 'the decision before this one', run: () => move(-1) },
    { keys: ['k', 'ArrowLeft'], does: 'the one after it', run: () => move(1) },
    { keys: ['o'], does: 'its JSON', run: () => location.assign(json) },
    { keys: ['y'], does: 'copy its address', run: () => void navigator.clipboard?.writeText(location.href) },
    {
      keys: ['Escape', 'Backspace'],
      does: 'back to the decisions',
      run: () => (history.length > 1 ? history.back() : go('/decisions')),
    },
  ]);
  if (decision === null) {
    return (
      <p class="empty" role="status">
        {trouble ?? 'Asking the gateway …'}
      </p>
    );
  }
  return (
    <article class="request">
      <header>
        <p class="crumb">
          <a href="/decisions">Decisions</a> / <code>{decision.id}</code>
        </p>
        <h1>
          <Way prefill={decision.disaggregation?.prefill ?? null} endpoint={decision.picked} none="not placed" />
          <span class="reason">{decision.reason}</span>
        </h1>
        <p class="about">
          {clock(decision.time)} · {decision.kind}
          {decision.streaming ? ', streaming' : ''} · {decision.model} · {count(decision.promptTokens)} prompt tokens ·
          policy {decision.policy.name} <code>{decision.policy.hash}</code>
        </p>
        <p class="actions">
          <a class="button" href={json} data-raw="">
            JSON
          </a>
          <button type="button" onClick={() => void navigator.clipboard?.writeText(location.href)}>
            Copy the address
          </button>
          <span>
            request <code>{decision.requestId}</code>
          </span>
        </p>
        {trouble !== null && <p class="bad">not fresh: {trouble}</p>}
      </header>
      <DecisionView decision={decision} wasSent />
    </article>
  );
}
