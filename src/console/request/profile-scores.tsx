import type { DecisionJson, FlipsJson } from '../../admin/json.ts';
import { scorerClass } from '../../charts/theme.ts';
import { change } from '../../journal/flip-lines.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { count } from '../parts/text.ts';

type ProfileJson = DecisionJson['profiles'][number];

/** The scores as stacked bars, a candidate each, the best first; what each filter dropped. */
export function ProfileScores({
  profile,
  role,
  flips,
}: {
  profile: ProfileJson;
  /** What its pick is for; null where that goes without saying. */
  role: string | null;
  flips: FlipsJson | null;
}) {
  const { name, candidateCount, candidates, filters, scorers, totals, picker } = profile;
  const isCost = scorers[0]?.unit === 'seconds';
  const ranked = Object.entries(totals).sort(([, a], [, b]) => (isCost ? a - b : b - a));
  // The pick is first, also where a tie or a picker with a mind of its own decided.
  const picked = picker.picked[0];
  ranked.sort(([a], [b]) => Number(b === picked) - Number(a === picked));
  const most = Math.max(1e-9, ...ranked.map(([endpoint]) => widthOf(profile, endpoint)));
  const dropped = filters.flatMap((filter) => filter.dropped.map((one) => ({ ...one, plugin: filter.plugin })));
  return (
    <section class="scores">
      <h2>
        Profile {name}{' '}
        <small>
          {role !== null && `${role} · `}
          {candidates.length < candidateCount ? `the best ${candidates.length} of ` : ''}
          {count(candidateCount)} {candidateCount === 1 ? 'candidate' : 'candidates'}
        </small>
      </h2>
      {scorers.length > 0 && (
        <ul class="legend">
          {scorers.map(({ plugin, weight }, at) => (
            <li key={plugin} class={scorerClass(at)}>
              <i />
              {plugin.replace(/-(scorer|cost)$/, '')} ×{weight}
            </li>
          ))}
          <li>{isCost ? 'seconds of waiting: the least wins' : 'share: the most wins'}</li>
        </ul>
      )}
      <table class="bars">
        <tbody>
          {ranked.map(([endpoint, total]) => (
            <tr key={endpoint} class={endpoint === picked ? 'picked' : ''}>
              <th scope="row">
                <EndpointName name={endpoint} />
              </th>
              <td>
                <div class="bar">
                  {scorers.map(({ plugin, weight, scores }, at) => {
                    const part = weight * (scores[endpoint] ?? 0);
                    return (
                      <span
                        key={plugin}
                        class={scorerClass(at)}
                        title={`${plugin}: ${shown(scores[endpoint] ?? 0, isCost)} × ${weight} = ${shown(part, isCost)}`}
                        style={{ width: `${(100 * Math.abs(part)) / most}%` }}
                      />
                    );
                  })}
                </div>
                <Flip endpoint={endpoint} profile={name} flips={flips} />
              </td>
              <td class="number">{shown(total, isCost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="about">{aheadOf(profile, ranked, isCost)}</p>
      {dropped.length > 0 && (
        <ul class="dropped">
          {dropped.map(({ endpoint, reason, plugin }) => (
            <li key={`${plugin} ${endpoint}`}>
              <EndpointName name={endpoint} /> dropped by <b>{plugin}</b>: {reason}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** The least change of this endpoint's own numbers that would have changed the pick. */
function Flip({ endpoint, profile, flips }: { endpoint: string; profile: string; flips: FlipsJson | null }) {
  const own = flips?.profiles.find((one) => one.profile === profile)?.flips;
  const least = own?.find((flip) => flip.endpoint === endpoint && flip.to !== null);
  if (least === undefined) return null;
  return (
    <small class="flip">
      {least.picks === endpoint ? 'would have got it with ' : 'would have lost it with '}
      {change(least)}
    </small>
  );
}

function widthOf({ scorers }: ProfileJson, endpoint: string): number {
  return scorers.reduce((sum, { weight, scores }) => sum + Math.abs(weight * (scores[endpoint] ?? 0)), 0);
}

function aheadOf(
  { picker, scorers }: ProfileJson,
  ranked: readonly (readonly [string, number])[],
  isCost: boolean,
): string {
  const [first, second] = ranked;
  if (picker.picked.length === 0) return 'None was picked.';
  if (picker.tied.length > 1) return `A tie of ${picker.tied.length}, decided at random by the recorded seed.`;
  if (first === undefined || second === undefined || scorers.length === 0) return `Picked by ${picker.plugin}.`;
  return `Picked by ${picker.plugin}, ahead of the next by ${shown(Math.abs(first[1] - second[1]), isCost)}.`;
}

function shown(value: number, isCost: boolean): string {
  return isCost ? `${value.toFixed(3)} s` : value.toFixed(3);
}
