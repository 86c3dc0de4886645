import { useEffect, useRef } from 'preact/hooks';
import type { EndpointJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { Metered } from '../parts/meter.tsx';
import { count, seconds, share, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';
import { cachedShare, type EndpointOrder } from './order.ts';
import { YardView } from './yard-view.ts';

interface Props {
  readonly endpoints: readonly EndpointJson[];
  readonly held: number | null;
  readonly order: EndpointOrder;
  readonly onOrder: (order: EndpointOrder) => void;
}

/** Every endpoint as a track, with its requests on it. */
export function Yard({ endpoints, held, order, onOrder }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const view = useRef<YardView | null>(null);
  useEffect(() => {
    view.current = new YardView(root.current!);
    return () => view.current?.close();
  }, []);
  useEffect(() => view.current?.show(endpoints, held));

  const all = endpoints.reduce((sum, { totals }) => sum + totals.requests, 0);
  const head = (title: EndpointOrder, about: string) => (
    <span role="columnheader" aria-sort={order === title ? (title === 'name' ? 'ascending' : 'descending') : 'none'}>
      <button type="button" title={about} onClick={() => onOrder(title)}>
        {title}
      </button>
    </span>
  );
  return (
    <div class={`yard${endpoints.length > 12 ? ' dense' : ''}`} ref={root} role="table" aria-label="Endpoints">
      <div class="yard-row yard-head" role="row">
        {head('name', 'sort by name')}
        <span class="track" role="columnheader" data-track="">
          <em>held {held !== null && held > 0 ? held : ''}</em>
          <em class="first-token">first token</em>
          <em class="done">done</em>
        </span>
        {head('in flight', 'sent there and not ended')}
        {head('queued', 'prompt tokens sent there and not computed yet')}
        {head('KV', "use of the engine's KV cache, as its gauge says")}
        {head('cached', 'of the prompt tokens, what its engine had cached')}
        <span role="columnheader" title="how fast it computes prompts, relative to the reference">
          speed
        </span>
        {head('requests', 'answered, and its share of all')}
      </div>
      {endpoints.map((endpoint) => (
        <Row key={endpoint.name} endpoint={endpoint} all={all} />
      ))}
      <canvas aria-hidden="true" />
    </div>
  );
}

function Row({ endpoint, all }: { endpoint: EndpointJson; all: number }) {
  const { name, address, state, inFlight, queuedPrefillTokens, queuedPrefillSeconds, kvUsage, speed, totals } =
    endpoint;
  const cached = cachedShare(endpoint);
  const gauges = endpoint.gaugeAgeMs === null ? 'never read' : `read ${seconds(endpoint.gaugeAgeMs / 1000)} ago`;
  const engine = `engine: ${endpoint.running ?? '?'} running, ${endpoint.waiting ?? '?'} waiting, ${gauges}`;
  const look = state === 'ready' ? 'clear' : state === 'starting' ? 'caution' : 'danger';
  return (
    <div class="yard-row" role="row" data-endpoint={name}>
      <span role="cell" class="name">
        <a href={`/decisions?endpoint=${encodeURIComponent(name)}`} title={`${name}\n${address}\n${engine}`}>
          <i class={`lamp ${look}`} title={state} />
          <EndpointName name={name} />
        </a>
        {state !== 'ready' && <b class={look}>{state}</b>}
      </span>
      <span class="track" data-track={name} role="cell" aria-label={`${inFlight} requests on the way`} />
      <span role="cell" class="number" data-label="in flight">
        {count(inFlight)}
      </span>
      <span role="cell" class="number" data-label="queued" title={`${seconds(queuedPrefillSeconds)} to compute`}>
        {short(queuedPrefillTokens)}
      </span>
      <span role="cell" class="number" data-label="KV" title={gauges}>
        <Value of={kvUsage} as={(use) => <Metered of={use} kind="load" />} />
      </span>
      <span role="cell" class="number" data-label="cached">
        <Value of={cached} as={(part) => <Metered of={part} kind="heat" />} />
      </span>
      <span role="cell" class="number" data-label="speed">
        <Value of={speed} as={(times) => `×${times.toFixed(2)}`} />
      </span>
      <span role="cell" class="number" data-label="requests" title={`${count(totals.failed)} failed`}>
        {short(totals.requests)} <small>{all === 0 ? '' : share(totals.requests / all)}</small>
        {totals.failed > 0 && ' '}
        {totals.failed > 0 && <small class="bad">{short(totals.failed)} failed</small>}
      </span>
    </div>
  );
}
