import type { DecisionJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { count } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';
import { Attempts } from './attempts.tsx';

/** Whether the prompt was computed apart from the answer, where, and why. */
export function Passes({ decision, wasSent }: { decision: DecisionJson; wasSent: boolean }) {
  const { disaggregation, picked } = decision;
  if (disaggregation === null) return null;
  const { by, split, reason, details, prefill, attempts } = disaggregation;
  const isPlain = attempts.length === 1 && attempts[0]!.status === 200;
  const facts = Object.entries(details);
  return (
    <section class="passes">
      <h2>Prefill and decode</h2>
      {split ? (
        <ol class="two-passes">
          <li>
            <small>prompt {wasSent ? 'computed' : 'would be computed'} at</small>
            <EndpointName name={prefill} none="nowhere" />
          </li>
          <li>
            <small>{wasSent ? 'answered' : 'would be answered'} by</small>
            <EndpointName name={picked} none="nowhere" />
          </li>
        </ol>
      ) : (
        <p>In one place: the prompt {wasSent ? 'was' : 'would be'} computed where it is answered.</p>
      )}
      <p class="about">
        <b>{by}</b>: {reason}
      </p>
      {facts.length > 0 && (
        <dl class="facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{wordsOf(name)}</dt>
              <dd>
                <Value of={value} as={(known) => (typeof known === 'number' ? amount(known) : known)} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {!isPlain && attempts.length > 0 && <Attempts attempts={attempts} />}
    </section>
  );
}

/** `uncachedTokens` as people write it. */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function amount(value: number): string {
  return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)));
}
