import type { DecisionJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { count, seconds, share } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

type Input = DecisionJson['inputs'][string];

const columns: readonly (readonly [title: string, input: keyof Input, shown: (value: number) => string])[] = [
  ['cached', 'cachedTokens', count],
  ['own prefill', 'prefillSeconds', seconds],
  ['queued', 'queuedPrefillTokens', count],
  ['queued for', 'queuedPrefillSeconds', seconds],
  ['in flight', 'inFlight', count],
  ['from elsewhere', 'othersInFlight', count],
  ['running', 'running', count],
  ['waiting', 'waiting', count],
  ['KV', 'kvUsage', share],
  ['in use', 'contextTokens', count],
  ['speed', 'speed', (value) => `×${value.toFixed(2)}`],
  ['gauges age', 'ageMs', (value) => seconds(value / 1000)],
];

/** What was known of each candidate at that moment. */
export function Inputs({ decision: { inputs } }: { decision: DecisionJson }) {
  const rows = Object.entries(inputs);
  if (rows.length === 0) return <p class="about">No endpoint was ready.</p>;
  return (
    <section>
      <h2>What was known</h2>
      <div class="scroll">
        <table class="inputs">
          <thead>
            <tr>
              <th>endpoint</th>
              {columns.map(([title]) => (
                <th key={title}>{title}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([endpoint, input]) => (
              <tr key={endpoint}>
                <th scope="row">
                  <EndpointName name={endpoint} />
                </th>
                {columns.map(([title, name, shown]) => (
                  <td key={title} class="number">
                    <Value of={input[name]} as={shown} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
