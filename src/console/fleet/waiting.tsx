import type { AdmissionJson } from '../../admin/json.ts';
import { withShortNames } from '../parts/endpoint-name.tsx';
import { count, seconds, share, short } from '../parts/text.ts';
import { Value } from '../parts/value.tsx';

type Band = AdmissionJson['bands'][number];

/** Held requests that are shown one by one. */
const shownHeld = 6;
/** Why requests are turned away: first what admission says, then our errors for the rest. */
const reasons: Readonly<Record<string, string>> = {
  'too-late': 'could not have come in time',
  missed: 'missed their time while they waited',
  'queue-full': 'too many waited',
  expired: 'waited for too long',
  'made-room': 'made room for a higher priority',
  saturated: 'no room',
  no_endpoint: 'no endpoint',
  model_unknown: 'unknown model',
};

/** Who waits in the gateway and for what, what each is due, and who was turned away. Nothing where nobody ever was. */
export function Waiting({ admission }: { admission: AdmissionJson }) {
  const { held, maxHeld, saturation, desiredReplicas, bands, queue, totals } = admission;
  const shed = Object.values(totals.shed).reduce((sum, times) => sum + times, 0);
  const { saturated = 0, ...others } = totals.refused;
  const refused = Object.entries({ ...totals.shed, saturated: saturated - shed, ...others }).filter(
    ([, times]) => times > 0,
  );
  if (totals.held === 0 && refused.length === 0) return null;
  return (
    <section class="waiting" aria-label="Who waits">
      <h2>
        Who waits{' '}
        <small>
          {count(held)} now{maxHeld === null ? '' : ` of at most ${count(maxHeld)}`} · {count(totals.held)} so far ·{' '}
          {count(totals.left)} left while they waited
          {totals.takenBack > 0 && ` · ${count(totals.takenBack)} taken back for a higher priority`}
          {saturation !== null && ` · the pool is ${share(saturation)} full`}
          {desiredReplicas > 0 && `, ${count(desiredReplicas)} endpoints would do`}
        </small>
      </h2>
      {bands.length > 0 && (
        <div class="scroll">
          <table class="bands">
            <thead>
              <tr>
                <th>priority, tenant</th>
                <th title="requests held now">waiting</th>
                <th title="of their prompts, what would have to be computed">prefill</th>
                <th title="share of its priority that a tenant gets, beside the others">weight</th>
                <th title="tokens served beyond the tenant that got least: who is ahead waits longer">ahead by</th>
                <th title="tokens that a priority is due for what was served above it">owed</th>
              </tr>
            </thead>
            {bands.map((band) => (
              <BandRows key={band.priority} band={band} />
            ))}
          </table>
        </div>
      )}
      {queue.length > 0 && (
        <ol class="queue">
          {queue.slice(0, shownHeld).map((request) => (
            <li key={request.requestId}>
              <span>
                <b>{request.fairnessId}</b> <small>priority {request.priority}</small>
              </span>
              <span class="number">{short(request.promptTokens)} tokens</span>
              <span>
                waits {seconds(request.heldSeconds)}
                {request.ahead !== null && (
                  <small>
                    {' '}
                    of an expected <Value of={request.ahead.seconds} as={seconds} />
                  </small>
                )}
              </span>
              <span class="reason" title={request.reason ?? ''}>
                <Value of={request.reason} as={withShortNames} />
              </span>
            </li>
          ))}
          {held > shownHeld && <li class="rest">and {count(held - Math.min(shownHeld, queue.length))} more</li>}
        </ol>
      )}
      {refused.length > 0 && (
        <p class="refused">
          Turned away:{' '}
          {refused.map(([code, times]) => (
            <a key={code} class="chip danger" href="/decisions?verdict=rejected" title={code}>
              {count(times)} {reasons[code] ?? code}
            </a>
          ))}
        </p>
      )}
    </section>
  );
}

function BandRows({ band }: { band: Band }) {
  const { priority, held, maxRequests, prefillSeconds, owedTokens, tenants } = band;
  const most = Math.max(1, ...tenants.map(({ aheadTokens }) => aheadTokens));
  return (
    <tbody>
      <tr class="band">
        <th scope="row">priority {priority}</th>
        <td class="number">
          {count(held)} <small>of {short(maxRequests)}</small>
        </td>
        <td class="number">{seconds(prefillSeconds)}</td>
        <td />
        <td />
        <td class="number">{owedTokens > 0 ? `${short(owedTokens)} tokens` : 'nothing'}</td>
      </tr>
      {tenants.map(({ fairnessId, held: waiting, weight, aheadTokens }) => (
        <tr key={fairnessId}>
          <th scope="row">{fairnessId}</th>
          <td class="number">{count(waiting)}</td>
          <td />
          <td class="number">×{weight}</td>
          <td class="number ahead">
            <span style={{ width: `${(60 * aheadTokens) / most}px` }} />
            {short(aheadTokens)} tokens
          </td>
          <td />
        </tr>
      ))}
    </tbody>
  );
}
