import { useState } from 'preact/hooks';
import type { PrefixesJson } from '../../admin/json.ts';
import { useShortcuts } from '../keys.ts';
import { usePolled } from '../live/use-polled.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { bytes, count, seconds, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';
import { currentRoute, setQuery, useRoute } from '../route.ts';
import { EndpointCaches } from './endpoint-caches.tsx';
import { moved, showing, wholeMap, zoomed } from './map-window.ts';
import { columnsOf, PrefixMap } from './prefix-map.tsx';

const pollMs = 3000;

/** Which prefixes live where, how hot they are, and how often each is kept. */
export function PrefixesPage() {
  const { answer, trouble } = usePolled<PrefixesJson>('/api/prefixes', pollMs);
  const selected = useRoute().query.get('prefix');
  const [seen, setSeen] = useState(wholeMap);
  const columns = columnsOf(answer?.prefixes ?? []);
  const choose = (by: number): void => {
    const now = columns.findIndex(({ prefix }) => prefix.id === currentRoute().query.get('prefix'));
    const next = columns[Math.max(0, Math.min(columns.length - 1, now < 0 ? 0 : now + by))];
    if (next === undefined) return;
    setQuery({ prefix: next.prefix.id });
    setSeen((before) => showing(before, next.from, next.to));
  };
  /** Around what is chosen. */
  const zoom = (factor: number): void => {
    const id = currentRoute().query.get('prefix');
    const around = columns.find(({ prefix }) => prefix.id === id);
    setSeen((now) => zoomed(now, factor, around === undefined ? undefined : (around.from + around.to) / 2));
  };
  useShortcuts([
    { keys: ['ArrowRight', 'j'], does: 'the next prefix, a colder one', run: () => choose(1) },
    { keys: ['ArrowLeft', 'k'], does: 'the one before', run: () => choose(-1) },
    { keys: ['+', '='], does: 'zoom in', run: () => zoom(1.6) },
    { keys: ['-'], does: 'zoom out', run: () => zoom(1 / 1.6) },
    { keys: ['0'], does: 'the whole map', run: () => setSeen(wholeMap) },
    { keys: ['['], does: 'move left', run: () => setSeen((now) => moved(now, -0.3 * (now.to - now.from))) },
    { keys: [']'], does: 'move right', run: () => setSeen((now) => moved(now, 0.3 * (now.to - now.from))) },
    { keys: ['Escape'], does: 'choose none', run: () => setQuery({ prefix: null }) },
  ]);
  if (answer === null) return <p class="empty">{trouble ?? 'Asking the gateway …'}</p>;
  const { blocks, copies, duplication, indexBytes, indexLimitBytes, engineHashBytes, endpoints } = answer;
  const chosen = answer.prefixes.find(({ id }) => id === selected);
  return (
    <>
      <h1 class="hidden">Prefixes</h1>
      <dl class="totals four">
        <div>
          <dt>blocks cached somewhere</dt>
          <dd data-total="blocks">{count(blocks)}</dd>
        </div>
        <div title="copies of a block, in the mean">
          <dt>copies</dt>
          <dd>
            {count(copies)}{' '}
            <small>
              <Value of={duplication} as={(times) => `×${times.toFixed(2)}`} />
            </small>
          </dd>
        </div>
        <div>
          <dt>the index takes</dt>
          <dd>
            {bytes(indexBytes)} <small>of {bytes(indexLimitBytes)}</small>
          </dd>
        </div>
        <div>
          <dt>engines’ own hashes take</dt>
          <dd>{bytes(engineHashBytes)}</dd>
        </div>
      </dl>
      {trouble !== null && <p class="bad">not fresh: {trouble}</p>}
      <section class="prefixes">
        <h2>
          Asked for most{' '}
          <small>the hottest to the left, as wide as they are long; darker is hotter, hatched is a slower tier</small>
        </h2>
        {columns.length === 0 ? (
          <p class="empty">No request has been placed yet where its prefix was cached.</p>
        ) : (
          <>
            <p class="actions">
              <button type="button" aria-label="Zoom in" onClick={() => zoom(1.6)}>
                +
              </button>
              <button type="button" aria-label="Zoom out" onClick={() => zoom(1 / 1.6)}>
                −
              </button>
              <button type="button" disabled={seen === wholeMap} onClick={() => setSeen(wholeMap)}>
                all
              </button>
              <span>
                {columns.length} prefixes, ×{(1 / (seen.to - seen.from)).toFixed(1)}
              </span>
            </p>
            <PrefixMap
              endpoints={endpoints.map(({ name }) => name)}
              columns={columns}
              seen={seen}
              onSeen={setSeen}
              selected={selected}
              onSelect={(id) => setQuery({ prefix: id })}
            />
            {chosen === undefined ? (
              <p class="about">Choose one: click, or ← and →. Drag to move, ctrl and the wheel to zoom.</p>
            ) : (
              <Chosen prefix={chosen} />
            )}
          </>
        )}
      </section>
      <Holders counts={answer.blocksByHolders} />
      <EndpointCaches endpoints={endpoints} />
    </>
  );
}

function Chosen({ prefix }: { prefix: PrefixesJson['prefixes'][number] }) {
  const { id, model, tokens, hits, heat, usedSecondsAgo, endpoints } = prefix;
  return (
    <p class="chosen-prefix" role="status">
      <code>{id}</code> {model} · <b>{count(tokens)} tokens</b> · asked for {count(hits)} times, heat {heat.toFixed(1)},
      last {seconds(usedSecondsAgo)} ago · {endpoints.length === 0 ? 'cached nowhere any more' : 'on '}
      {endpoints.map(({ name, tier }) => (
        <span key={name}>
          <EndpointName name={name} /> {tier === 'slower' ? '(slower tier) ' : ' '}
        </span>
      ))}
      {endpoints.length > 1 && <small>{short(tokens * (endpoints.length - 1))} tokens are kept more than once</small>}
    </p>
  );
}

/** How many blocks are kept once, twice, … */
function Holders({ counts }: { counts: PrefixesJson['blocksByHolders'] }) {
  const most = Math.max(1, ...counts.map(({ blocks }) => blocks));
  if (counts.length === 0) return null;
  return (
    <section class="prefixes">
      <h2>How often blocks are kept</h2>
      <table class="picks">
        <tbody>
          {counts.map(({ holders, blocks }) => (
            <tr key={holders}>
              <th scope="row">{holders === 1 ? 'on one endpoint' : `on ${holders} endpoints`}</th>
              <td>
                <span class="live" style={{ width: `${(100 * blocks) / most}%` }} />
              </td>
              <td class="number">{count(blocks)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
