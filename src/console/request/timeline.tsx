import type { DecisionJson } from '../../admin/json.ts';
import { feed } from '../live/feed.ts';
import { count, seconds } from '../parts/text.ts';
import { Way } from '../parts/way.tsx';

interface Stretch {
  readonly name: string;
  readonly look: string;
  readonly from: number;
  readonly to: number;
}

/** From arrival to the end, in seconds since arrival; beneath, when the first token was predicted. */
export function Timeline({ decision }: { decision: DecisionJson }) {
  const { admission, outcome, predicted, streaming, picked } = decision;
  const prefill = decision.disaggregation?.prefill ?? null;
  const held = admission.queuedSeconds;
  const soFar = Math.max(held, held + (feed.nowMs() - Date.parse(decision.time)) / 1000);
  const end = outcome === null ? soFar : outcome.e2eSeconds;
  const ttft = outcome?.ttftSeconds ?? null;
  const last = Math.max(held, ttft ?? 0, end ?? 0, 1e-6);
  const stretches = stretchesOf(held, ttft, end, streaming, outcome === null);
  const place = (at: number): string => `${(100 * Math.min(1, at / last)).toFixed(3)}%`;
  const isPredicted = predicted.ttftSeconds !== null && predicted.ttftSeconds <= last * 1.0001;
  return (
    <section class="timeline" aria-label="Timeline">
      <h2>From arrival to end</h2>
      <div class="line">
        {stretches.map(({ name, look, from, to }) => (
          <span
            key={name}
            class={look}
            title={`${name}: ${seconds(to - from)}`}
            style={{ left: place(from), width: place(to - from) }}
          />
        ))}
        {isPredicted && (
          <i
            class="predicted"
            title={`first token predicted at ${seconds(predicted.ttftSeconds!)}`}
            style={{ left: place(predicted.ttftSeconds!) }}
          />
        )}
        {ttft !== null && (
          <i class="first-token" title={`first token at ${seconds(ttft)}`} style={{ left: place(ttft) }} />
        )}
      </div>
      <ol>
        <li>
          <b>arrived</b> 0 s
        </li>
        {held >= 0.001 && (
          <li>
            <b>held</b> {seconds(held)} <small>{heldAs(decision)}</small>
          </li>
        )}
        <li>
          <b>{picked === null ? 'not placed' : 'placed'}</b> {picked === null ? '' : 'on '}
          {picked !== null && <Way prefill={prefill} endpoint={picked} none="nowhere" />}{' '}
          <small>decided in {seconds(decision.schedulerSeconds)}</small>
        </li>
        {ttft !== null && (
          <li>
            <b>first token</b> {seconds(ttft)}{' '}
            {predicted.ttftSeconds !== null && <small>predicted {seconds(predicted.ttftSeconds)}</small>}
          </li>
        )}
        <li>{endOf(decision, end)}</li>
      </ol>
    </section>
  );
}

/** As whom it waited, and behind what. */
function heldAs({ admission: { band, fairnessId, ahead } }: DecisionJson): string {
  const expected =
    ahead === null || ahead.seconds === null ? 'for how long was not known' : `expected ${seconds(ahead.seconds)}`;
  const behind = ahead === null ? '' : `, behind ${count(ahead.requests)}, ${expected}`;
  return `${fairnessId === 'default-flow' ? '' : `${fairnessId}, `}priority ${band}${behind}`;
}

function stretchesOf(
  held: number,
  ttft: number | null,
  end: number | null,
  streaming: boolean,
  isOpen: boolean,
): Stretch[] {
  const all: Stretch[] = [];
  if (held > 0) all.push({ name: 'held in the gateway', look: 'held', from: 0, to: held });
  if (ttft !== null) {
    all.push({ name: 'until the first token', look: 'prefill', from: held, to: ttft });
    if (end !== null) all.push({ name: 'answering', look: isOpen ? 'decode going' : 'decode', from: ttft, to: end });
  } else if (end !== null) {
    const name = streaming ? 'on its way' : 'until the whole answer, which did not stream';
    all.push({ name, look: isOpen ? 'whole going' : 'whole', from: held, to: end });
  }
  return all;
}

function endOf({ outcome }: DecisionJson, end: number | null) {
  if (outcome === null) {
    return (
      <>
        <b class="going">in flight</b> for {seconds(end ?? 0)}
      </>
    );
  }
  const failed = outcome.status >= 400;
  return (
    <>
      <b class={failed ? 'bad' : ''}>{outcome.status === 499 ? 'client left' : failed ? 'failed' : 'ended'}</b>{' '}
      {end === null ? 'when is not known' : seconds(end)} <small>status {outcome.status}</small>
    </>
  );
}
