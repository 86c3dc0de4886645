import type { FlipJson, FlipsJson } from '../../admin/json.ts';
import { change } from '../../journal/flip-lines.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';

/** What would have sent it elsewhere, the smallest change first. */
export function Flips({ flips, wasSent }: { flips: FlipsJson; wasSent: boolean }) {
  const title = <h2>What would {wasSent ? 'have changed' : 'change'} it</h2>;
  if (flips.unknown !== null) {
    return (
      <section>
        {title}
        <p class="about">Not known: {flips.unknown}.</p>
      </section>
    );
  }
  const all = flips.profiles.flatMap(({ profile, flips: own }) => own.map((flip) => ({ ...flip, profile })));
  const possible = all.filter(({ to }) => to !== null);
  const never = all.length - possible.length;
  return (
    <section class="flips">
      {title}
      {possible.length === 0 && <p class="about">No one number, whatever its value, would have sent it elsewhere.</p>}
      <table>
        <tbody>
          {possible.map((flip) => (
            <tr key={`${flip.profile} ${flip.endpoint} ${flip.input}`}>
              <th scope="row">
                <EndpointName name={flip.endpoint} />
              </th>
              <td>{change(flip)}</td>
              <td class="gauge">
                <Size flip={flip} />
              </td>
              <td>
                → <EndpointName name={flip.picks} none="nowhere" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {never > 0 && possible.length > 0 && (
        <p class="about">
          {never} other {never === 1 ? 'number' : 'numbers'} known then would not, whatever the value.
        </p>
      )}
    </section>
  );
}

/** How large the change is, relative to what was there: a short bar was a near thing. */
function Size({ flip }: { flip: FlipJson }) {
  if (flip.size === null) return null;
  const width = Math.min(1, Math.log1p(flip.size) / Math.log(101));
  return (
    <svg viewBox="0 0 60 6" preserveAspectRatio="none" role="img">
      <title>{`${Number(flip.size.toPrecision(2))} times what was there`}</title>
      <rect class="all" width="60" height="6" />
      <rect width={60 * width} height="6" />
    </svg>
  );
}
