import type { ComponentChildren } from 'preact';
import type { AdmissionJson, DecisionRowJson, EndpointJson } from '../../admin/json.ts';
import { count, seconds, share, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';
import { feed } from '../live/feed.ts';
import { recentFigures } from './recent-figures.ts';

interface Props {
  readonly endpoints: readonly EndpointJson[];
  readonly admission: AdmissionJson | null;
  readonly rows: readonly DecisionRowJson[];
}

export function PoolTotals({ endpoints, admission, rows }: Props) {
  const recent = recentFigures(rows, feed.nowMs());
  const sum = (of: (endpoint: EndpointJson) => number): number => endpoints.reduce((all, one) => all + of(one), 0);
  const ready = endpoints.filter((endpoint) => endpoint.ready).length;
  const measured = sum(({ totals }) => totals.measuredTokens);
  const failed = sum(({ totals }) => totals.failed);
  return (
    <dl class="totals">
      <Total name="endpoints" look={ready < endpoints.length ? 'caution' : undefined}>
        {ready} <small>of {endpoints.length} ready</small>
      </Total>
      <Total name="in flight" id="in-flight">
        {count(sum(({ inFlight }) => inFlight))}
      </Total>
      <Total name="held" id="held" look={(admission?.held ?? 0) > 0 ? 'caution' : undefined}>
        <Value of={admission?.held} />
      </Total>
      <Total
        name="queued"
        id="queued"
        about="tokens of prompts that are still to be computed, as the router counts them"
      >
        {short(sum(({ queuedPrefillTokens }) => queuedPrefillTokens))} <small>tokens</small>
      </Total>
      <Total name="requests / s" about="over the last 10 s">
        {recent.requestsPerSecond.toFixed(1)}
      </Total>
      <Total name="first token" about="median and 90th percentile of the last minute">
        <Value of={recent.ttftP50} as={seconds} />{' '}
        <small>
          p90 <Value of={recent.ttftP90} as={seconds} />
        </small>
      </Total>
      <Total name="cached" about="of all prompt tokens, as the engines report">
        <Value of={measured === 0 ? null : sum(({ totals }) => totals.cachedTokens) / measured} as={share} />
      </Total>
      <Total name="answered" id="answered" about="since the gateway knows these endpoints">
        {short(sum(({ totals }) => totals.requests) - failed)}{' '}
        <small class={failed > 0 ? 'bad' : ''}>{count(failed)} failed</small>
      </Total>
    </dl>
  );
}

interface TotalProps {
  readonly name: string;
  readonly id?: string;
  readonly about?: string;
  readonly look?: 'caution' | undefined;
  readonly children: ComponentChildren;
}

function Total({ name, id, about, look, children }: TotalProps) {
  return (
    <div title={about} class={look} data-total={id}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
