import type { DecisionJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { Attempts } from './attempts.tsx';
import { Flips } from './flips.tsx';
import { Inputs } from './inputs.tsx';
import { Passes } from './passes.tsx';
import { PredictedAndHappened } from './predicted-and-happened.tsx';
import { ProfileScores } from './profile-scores.tsx';
import { Timeline } from './timeline.tsx';

/** A decision drawn whole: on its own page, and beside the playground's answer. */
export function DecisionView({ decision, wasSent }: { decision: DecisionJson; wasSent: boolean }) {
  const { attempts, profiles, shadow, picked } = decision;
  const tried = attempts.length > 1 || attempts.some(({ endpoint }) => endpoint !== picked);
  return (
    <>
      {wasSent && <Timeline decision={decision} />}
      {tried && (
        <section>
          <h2>Tried</h2>
          <Attempts attempts={attempts} />
        </section>
      )}
      <Passes decision={decision} wasSent={wasSent} />
      {profiles.map((profile) => (
        <ProfileScores
          key={profile.name}
          profile={profile}
          role={roleOf(profile, decision)}
          flips={decision.flips ?? null}
        />
      ))}
      {decision.flips !== undefined && <Flips flips={decision.flips} wasSent={wasSent} />}
      <Inputs decision={decision} />
      <PredictedAndHappened decision={decision} wasSent={wasSent} />
      {shadow.length > 0 && (
        <section>
          <h2>In shadow</h2>
          <ul class="attempts">
            {shadow.map(({ policy, picked: other }) => (
              <li key={policy}>
                <b>{policy}</b> {other === picked ? 'would have picked the same' : 'would have picked '}
                {other !== picked && <EndpointName name={other} none="none" />}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** What a profile's pick is for, where there is more than one. */
function roleOf({ picker }: DecisionJson['profiles'][number], decision: DecisionJson): string | null {
  const { profiles, disaggregation, picked } = decision;
  const own = picker.picked[0];
  if (profiles.length < 2 || own === undefined) return null;
  if (own === disaggregation?.prefill) return 'where the prompt is computed';
  return own === picked ? 'where it is answered' : null;
}
