import type { DecisionJson } from '../../admin/json.ts';
import { EndpointName } from '../parts/endpoint-name.tsx';
import { Value } from '../parts/value.tsx';
import { Flips } from './flips.tsx';
import { Inputs } from './inputs.tsx';
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
          <ol class="attempts">
            {attempts.map(({ endpoint, status, reason }, at) => (
              <li key={at}>
                <EndpointName name={endpoint} /> <Value of={status} /> {reason}
              </li>
            ))}
          </ol>
        </section>
      )}
      {profiles.map((profile) => (
        <ProfileScores key={profile.name} profile={profile} flips={decision.flips ?? null} />
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
