import type { DecisionJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { Value } from '../parts/value.tsx';

/** Where it was sent, in order. */
export function Attempts({ attempts }: { attempts: DecisionJson['attempts'] }) {
  return (
    <ol class="attempts">
      {attempts.map(({ endpoint, status, reason }, at) => (
        <li key={at}>
          <EndpointName name={endpoint} /> <Value of={status} /> {reason}
        </li>
      ))}
    </ol>
  );
}
