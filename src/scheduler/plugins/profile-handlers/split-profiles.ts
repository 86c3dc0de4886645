import type { Decider, ProfileHandler, ProfileRun, Progress, Verdict } from '../../plugin.ts';

interface SplitProfiles {
  /** The handler's own type, where no decider is asked. */
  readonly handler: string;
  readonly decode: string;
  readonly prefill: string;
  /** Picks where a request that is not split goes; null leaves it where decode would have been. */
  readonly together: string | null;
  readonly prefillFirst: boolean;
  /** Null without one: nothing is split, or with prefill first everything. */
  readonly decider: { readonly name: string; readonly instance: Decider } | null;
}

/** Runs the profiles of decode and of prefill, and settles whether a request goes to one pick or to both. */
export function splitProfiles(options: SplitProfiles): ProfileHandler {
  const { handler, decode, prefill, together, prefillFirst, decider } = options;
  const runOf = (profile: string, { done }: Progress): ProfileRun | null =>
    done.find((run) => run.profile === profile) ?? null;

  const verdictOf = (progress: Progress): Verdict => {
    const whole = (reason: string): Verdict => ({ by: handler, split: false, reason, details: {} });
    const decodeRun = runOf(decode, progress);
    const [place] = decodeRun?.picked ?? [];
    if (decodeRun === null || place === undefined) return whole('no endpoint decodes');
    if (progress.request.splittable === false) return whole('its prompt must be computed where it is answered');
    const prefillRun = runOf(prefill, progress);
    if (prefillRun !== null) {
      if (prefillRun.picked.length === 0) return whole('no endpoint prefills');
      if (prefillRun.picked[0] === place) return whole('prefill is best where decode is');
    }
    if (decider === null) return { by: handler, split: prefillFirst, reason: 'always', details: {} };
    const { request, view } = progress;
    const wholeRun = together === null ? null : runOf(together, progress);
    const picks = { together: wholeRun ?? decodeRun, decode: decodeRun, prefill: prefillRun };
    return { by: decider.name, ...decider.instance.decide({ request, view, ...picks }) };
  };

  const wanted = function* (progress: Progress): Generator<string> {
    const comparesPicks = prefillFirst || decider?.instance.comparesPicks === true;
    if (prefillFirst) yield prefill;
    yield decode;
    const mayBeSplit = progress.request.splittable !== false && (decider !== null || prefillFirst);
    const isSplit = mayBeSplit && (comparesPicks || verdictOf(progress).split);
    if (isSplit) yield prefill;
    if (together !== null && (comparesPicks || !isSplit)) yield together;
  };

  return {
    next(progress) {
      for (const profile of wanted(progress)) if (runOf(profile, progress) === null) return profile;
      return null;
    },
    settle(progress) {
      const verdict = verdictOf(progress);
      const isSplit = verdict.split && runOf(prefill, progress) !== null;
      const wholeRun = together === null ? null : runOf(together, progress);
      const serves = !isSplit && wholeRun !== null && wholeRun.picked.length > 0 ? wholeRun.profile : decode;
      return { serves, prefills: isSplit ? prefill : null, verdict: { ...verdict, split: isSplit } };
    },
  };
}
