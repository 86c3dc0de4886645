import type { DecisionJson } from '../../admin/json.ts';
import { count, seconds } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

/** Beside what was predicted, what happened. */
export function PredictedAndHappened({ decision, wasSent }: { decision: DecisionJson; wasSent: boolean }) {
  const { predicted, outcome, promptTokens } = decision;
  const rows: (readonly [string, number | null, number | null, (value: number) => string])[] = [
    ['prompt tokens', promptTokens, outcome?.promptTokens ?? null, count],
    ['cached tokens', predicted.cachedTokens, outcome?.cachedTokens ?? null, count],
    ['first token', predicted.ttftSeconds, outcome?.ttftSeconds ?? null, seconds],
    ['whole answer', predicted.e2eSeconds, outcome?.e2eSeconds ?? null, seconds],
    ['completion tokens', null, outcome?.completionTokens ?? null, count],
  ];
  return (
    <section>
      <h2>Predicted{wasSent ? ' and happened' : ''}</h2>
      <table class="happened">
        <thead>
          <tr>
            <th />
            <th>predicted</th>
            {wasSent && <th>happened</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(([title, before, after, shown]) => (
            <tr key={title}>
              <th scope="row">{title}</th>
              <td class="number">
                <Value of={before} as={shown} />
              </td>
              {wasSent && <td class="number">{outcome === null ? '…' : <Value of={after} as={shown} />}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
