import type { Decision, ShadowPick } from '../scheduler/decision.ts';

const keptDisagreements = 20;
const keptForMs = 60 * 60 * 1000;
/** Endpoints come and go; past so many names the rest is not counted apart. */
const countedEndpoints = 1000;

/** Where a policy in shadow and the live one went apart. */
interface Disagreement {
  readonly decision: Pick<Decision, 'id' | 'requestId' | 'epochMs' | 'model' | 'promptTokens'>;
  readonly live: Omit<ShadowPick, 'policy'>;
  readonly shadow: Omit<ShadowPick, 'policy'>;
  /** Seconds between their predicted TTFTs; 0 where one is not known. */
  readonly apart: number;
}

/** Sums over the decisions for which both numbers are known. */
class Pair {
  compared = 0;
  live = 0;
  shadow = 0;

  add(live: number, shadow: number): void {
    if (Number.isNaN(live) || Number.isNaN(shadow)) return;
    this.compared += 1;
    this.live += live;
    this.shadow += shadow;
  }
}

/** How one policy in shadow compares with the live one, counted. */
export class ShadowTally {
  compared = 0;
  agreed = 0;
  /** Not asked, for its share of time was used up, or the process was busy. */
  readonly skipped = { overShare: 0, busy: 0 };
  readonly ttftSeconds = new Pair();
  readonly cachedTokens = new Pair();
  /** How often each endpoint was picked. */
  readonly picks = new Map<string, { live: number; shadow: number }>();
  /** Those furthest apart, the furthest first. */
  disagreements: readonly Disagreement[] = [];

  add(decision: Decision, shadow: ShadowPick): void {
    const { predicted, candidates, picked } = decision;
    const live = { ...predicted, picked: candidates[picked]?.endpoint ?? null };
    this.compared += 1;
    if (live.picked === shadow.picked) this.agreed += 1;
    this.#count(live.picked, 'live');
    this.#count(shadow.picked, 'shadow');
    this.ttftSeconds.add(live.ttftSeconds, shadow.ttftSeconds);
    this.cachedTokens.add(live.cachedTokens, shadow.cachedTokens);
    if (live.picked !== shadow.picked) this.#keep(decision, live, shadow);
  }

  #count(endpoint: string | null, who: 'live' | 'shadow'): void {
    if (endpoint === null) return;
    let picks = this.picks.get(endpoint);
    if (picks === undefined) {
      if (this.picks.size >= countedEndpoints) return;
      picks = { live: 0, shadow: 0 };
      this.picks.set(endpoint, picks);
    }
    picks[who] += 1;
  }

  #keep(
    { id, requestId, epochMs, model, promptTokens }: Decision,
    live: Omit<ShadowPick, 'policy'>,
    shadow: Omit<ShadowPick, 'policy'>,
  ): void {
    const apart = Math.abs(live.ttftSeconds - shadow.ttftSeconds) || 0;
    const last = this.disagreements.at(-1);
    if (this.disagreements.length >= keptDisagreements && apart <= (last?.apart ?? 0)) return;
    const decision = { id, requestId, epochMs, model, promptTokens };
    this.disagreements = [...this.disagreements, { decision, live, shadow, apart }]
      .filter((one) => epochMs - one.decision.epochMs < keptForMs)
      .sort((a, b) => b.apart - a.apart)
      .slice(0, keptDisagreements);
  }
}
