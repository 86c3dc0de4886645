import type { Dispatch } from '../dispatch/dispatch.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { Question } from './batch.ts';

/** A longer prompt is not asked about. */
const maxBlocks = 16 * 1024;
/** Older answers count less and less. */
const share = 0.01;

/** Whether replicas that know the same would decide the same: now and then each asks the others about a pick of its own. */
export class Agreement {
  compared = 0;
  agreed = 0;
  /** Of late; NaN before there was anything to compare. */
  recent = NaN;

  /** Null where the others cannot be asked: its prompt is known by token ids, which stay here. */
  questionOf(
    request: SchedulingRequest,
    { hashes, promptBytes, tokens }: PrefixKey,
    decision: Decision,
  ): Question | null {
    const picked = decision.candidates[decision.picked];
    if (tokens !== undefined || hashes.low.length > maxBlocks || picked === undefined) return null;
    if (decision.admission.queuedSeconds > 0) return null;
    const { model, kind, streaming, promptTokens, maxOutputTokens, splittable = true } = request;
    return {
      ...{ model, kind, streaming, promptTokens, maxOutputTokens, splittable, promptBytes },
      ...{ seed: decision.seed, picked: picked.endpoint, hashes },
    };
  }

  /** What this replica would have picked, against what another did. One that it holds for equally good agrees. */
  answer(dispatch: Dispatch, { seed, picked, hashes, promptBytes, ...facts }: Question): void {
    const request = { ...facts, requestId: 'asked-by-another', sessionEndpoint: null, headers: {} };
    const best = dispatch.wouldPick(request, { hashes, promptBytes }, seed);
    // Not yet here, or gone already: that says nothing of the choice.
    if (dispatch.fleet.slotOf(picked) === null || best.length === 0) return;
    this.compared += 1;
    const agrees = best.includes(picked);
    if (agrees) this.agreed += 1;
    const weight = Math.max(share, 1 / this.compared);
    this.recent = Number.isNaN(this.recent) ? Number(agrees) : this.recent + weight * (Number(agrees) - this.recent);
  }
}
