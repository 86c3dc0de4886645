import type { KeysJson } from '../../admin/json.ts';
import { Metered } from '../parts/meter.tsx';
import { clock, count, share, short } from '../parts/text.ts';

type Key = KeysJson['keys'][number];

/** A row for each key: what is in use now beside its limits, and what it has used since the start. */
export function KeyTable({ keys }: { keys: readonly Key[] }) {
  return (
    <section class="prefixes" aria-label="API keys">
      <div class="scroll">
        <table class="inputs">
          <thead>
            <tr>
              <th>key</th>
              <th title="of the last sixty seconds, by all gateways that share">requests a minute</th>
              <th title="of the last sixty seconds, by all gateways that share">tokens a minute</th>
              <th title="by all gateways that share">at once</th>
              <th title="answered by this gateway since its start">requests</th>
              <th title="by this gateway since its start">refused</th>
              <th>prompt tokens</th>
              <th title="of the prompt tokens">cached</th>
              <th>output tokens</th>
              <th class="words">goes as</th>
              <th class="words">models</th>
              <th class="words">last used</th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <KeyRow key={key.name} of={key} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function KeyRow({ of: { name, expires, limits, now, totals, priority, objective, models, lastUsed } }: { of: Key }) {
  const { requests, refused, promptTokens, cachedTokens, completionTokens } = totals;
  const codes = Object.entries(refused);
  const refusals = codes.reduce((sum, [, times]) => sum + times, 0);
  const goesAs = [objective ?? '', priority === null ? '' : `priority ${priority}`].filter((text) => text !== '');
  return (
    <tr data-key={name}>
      <th scope="row">
        {name} <Expiry at={expires} />
      </th>
      <Used now={now.requestsThisMinute} limit={limits.requestsPerMinute} />
      <Used now={now.tokensThisMinute} limit={limits.tokensPerMinute} />
      <Used now={now.inFlight} limit={limits.maxConcurrent} />
      <td class="number">{count(requests)}</td>
      <td
        class={refusals > 0 ? 'number bad' : 'number'}
        title={codes.map(([code, times]) => `${count(times)} ${code}`).join(', ')}
      >
        {count(refusals)}
      </td>
      <td class="number">{short(promptTokens)}</td>
      <td class="number">{promptTokens === 0 ? 'none' : share(cachedTokens / promptTokens)}</td>
      <td class="number">{short(completionTokens)}</td>
      <td>{goesAs.length === 0 ? 'any other' : goesAs.join(', ')}</td>
      <td title={models?.join(', ')}>
        {models === null ? 'all' : models.length === 1 ? models[0] : count(models.length)}
      </td>
      <td>{lastUsed === null ? 'never' : clock(lastUsed)}</td>
    </tr>
  );
}

function Used({ now, limit }: { now: number; limit: number | null }) {
  if (limit === null) return <td class="number">{short(now)}</td>;
  return (
    <td class="number">
      {short(now)} <small>of {short(limit)}</small> <Metered of={now / limit} kind="load" />
    </td>
  );
}

function Expiry({ at }: { at: string | null }) {
  if (at === null) return null;
  if (Date.parse(at) <= Date.now()) return <span class="chip danger">expired</span>;
  return <small>until {at.slice(0, 10)}</small>;
}
