import type { ShadowJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { clock, count, seconds, share, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

type Policy = ShadowJson['policies'][number];
type Pick = Policy['disagreements'][number]['live'];

/** How one policy in shadow compares: where they agree, what it predicts of its own picks, and where they disagree. */
export function ShadowPolicy({ policy, live }: { policy: Policy; live: string }) {
  const { name, hash, compared, agreed, skipped, ttftSeconds, cachedTokens, picks, disagreements } = policy;
  const agreement = compared === 0 ? null : agreed / compared;
  const left = skipped.overShare + skipped.busy;
  return (
    <section class="shadow">
      <h2>
        {name} <code>{hash}</code>
      </h2>
      <dl class="totals">
        <div>
          <dt>agreement</dt>
          <dd>
            <Value of={agreement} as={share} /> <small>of {count(compared)}</small>
          </dd>
        </div>
        <div>
          <dt>not asked</dt>
          <dd>
            {short(left)}{' '}
            <small>{left === 0 ? '' : `${short(skipped.overShare)} over its share, ${short(skipped.busy)} busy`}</small>
          </dd>
        </div>
      </dl>
      <table class="sides">
        <thead>
          <tr>
            <th>predicted, in the mean</th>
            <th>{live}</th>
            <th>{name}</th>
            <th>difference</th>
          </tr>
        </thead>
        <tbody>
          <Sides title="first token" of={ttftSeconds} shown={seconds} lessIsBetter />
          <Sides title="cached tokens" of={cachedTokens} shown={short} lessIsBetter={false} />
        </tbody>
      </table>
      <h2>Who got how much</h2>
      <Picks picks={picks} live={live} shadow={name} />
      {disagreements.length > 0 && (
        <>
          <h2>Where they disagree most</h2>
          <ol class="disagreements">
            {disagreements.map(({ id, time, promptTokens, live: one, shadow: other }) => (
              <li key={id}>
                <a href={`/requests/${encodeURIComponent(id)}`}>
                  <time>{clock(time)}</time>
                  <span>{short(promptTokens)} tokens</span>
                  <Side pick={one} />
                  <span class="versus">or</span>
                  <Side pick={other} />
                </a>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Side({ pick }: { pick: Pick }) {
  return (
    <span class="side">
      <EndpointName name={pick.endpoint} none="nowhere" />
      <small>
        first token <Value of={pick.ttftSeconds} as={seconds} />, cached <Value of={pick.cachedTokens} as={short} />
      </small>
    </span>
  );
}

interface SidesProps {
  readonly title: string;
  readonly of: { readonly live: number | null; readonly shadow: number | null };
  readonly shown: (value: number) => string;
  readonly lessIsBetter: boolean;
}

function Sides({ title, of: { live, shadow }, shown, lessIsBetter }: SidesProps) {
  const difference = live === null || shadow === null ? null : shadow - live;
  const isBetter = difference !== null && difference !== 0 && difference < 0 === lessIsBetter;
  return (
    <tr>
      <th scope="row">{title}</th>
      <td class="number">
        <Value of={live} as={shown} />
      </td>
      <td class="number">
        <Value of={shadow} as={shown} />
      </td>
      <td class={`number ${isBetter ? 'good' : ''}`}>
        <Value of={difference} as={(by) => `${by < 0 ? '−' : '+'}${shown(Math.abs(by))}`} />
      </td>
    </tr>
  );
}

/** How often each picked an endpoint, as two bars under each other. */
function Picks({ picks, live, shadow }: { picks: Policy['picks']; live: string; shadow: string }) {
  const rows = Object.entries(picks).sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  const most = Math.max(1, ...rows.flatMap(([, both]) => [both.live, both.shadow]));
  if (rows.length === 0) return <p class="about">Nothing has been compared yet.</p>;
  return (
    <table class="picks">
      <tbody>
        {rows.map(([endpoint, both]) => (
          <tr key={endpoint}>
            <th scope="row">
              <EndpointName name={endpoint} />
            </th>
            <td>
              <span class="live" title={`${live}: ${both.live}`} style={{ width: `${(100 * both.live) / most}%` }} />
              <span title={`${shadow}: ${both.shadow}`} style={{ width: `${(100 * both.shadow) / most}%` }} />
            </td>
            <td class="number">
              {short(both.live)} <small>{short(both.shadow)}</small>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
