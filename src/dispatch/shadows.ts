import type { Clock } from '../base/clock.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { Outcome } from '../scheduler/plugin.ts';
import { newStates, type Policy, type PolicyStates } from '../scheduler/policy.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import { schedule } from '../scheduler/schedule.ts';
import type { FleetView } from '../scheduler/view.ts';
import { ShadowTally } from './shadow-tally.ts';

/** All shadows together may take this share of the time that the policy which decides takes. */
export const shadowShare = 0.1;
/** So much unused time may be saved up, as seconds. */
const largestCreditSeconds = 0.02;
/** How far one run's time moves what the next is expected to take. */
const learningShare = 0.2;

export interface ShadowOptions {
  readonly policies: readonly Policy[];
  /** True while the process has no time to spare. */
  isBusy(): boolean;
}

/** What was looked at when the request was placed, and what placing it on a slot would mean. */
interface Look {
  readonly request: SchedulingRequest;
  readonly view: FleetView;
  readonly decision: Decision;
  /** Predicted TTFT there, in seconds; NaN where it is not known. */
  ttftSeconds(slot: number): number;
}

interface Shadow {
  readonly policy: Policy;
  readonly states: PolicyStates;
  readonly tally: ShadowTally;
  /** About what asking it takes, as a multiple of what the live policy took; null until it was asked once. */
  cost: number | null;
}

/**
 * Policies that decide on live traffic without effect: each is asked where it would send a request, given what the live
 * policy saw, and what that would have meant as far as it can be predicted. They do not live with the consequences:
 * queues and caches are those that the live policy made. They run only on time left over, so most requests under load
 * are not compared; whether one is does not depend on what it is.
 */
export class Shadows {
  readonly #clock: Clock;
  #options: ShadowOptions;
  #shadows: readonly Shadow[] = [];
  /** For plugins that learn from ends: what each stateful shadow was asked about. */
  #asked = new WeakMap<Decision, { readonly shadow: Shadow; readonly decision: Decision }>();
  #next = 0;
  #creditSeconds = 0;
  #liveSeconds = 0;
  #spentSeconds = 0;

  constructor(clock: Clock, options: ShadowOptions) {
    this.#clock = clock;
    this.#options = options;
    this.restart();
  }

  /** Begins to compare anew: the policies are others, or the one that decides is. */
  restart(policies: readonly Policy[] = this.#options.policies): void {
    this.#options = { ...this.#options, policies };
    this.#shadows = policies.map((policy) => ({
      policy,
      states: newStates(policy),
      tally: new ShadowTally(),
      cost: null,
    }));
    this.#asked = new WeakMap();
    this.#next = 0;
    this.#creditSeconds = 0;
    this.#liveSeconds = 0;
    this.#spentSeconds = 0;
  }

  get all(): readonly { readonly policy: Policy; readonly tally: ShadowTally }[] {
    return this.#shadows;
  }

  get policies(): readonly Policy[] {
    return this.#options.policies;
  }

  /** Of the scheduler's time, what the shadows took beside it; null before there was any. */
  get share(): number | null {
    return this.#liveSeconds === 0 ? null : this.#spentSeconds / this.#liveSeconds;
  }

  /** Asks the shadow whose turn it is, if there is time, and notes in the Decision what it says. */
  compare(look: Look): void {
    if (this.#shadows.length === 0) return;
    const { decision } = look;
    const liveSeconds = decision.schedulerSeconds;
    this.#liveSeconds += liveSeconds;
    this.#creditSeconds = Math.min(largestCreditSeconds, this.#creditSeconds + shadowShare * liveSeconds);
    const shadow = this.#shadows[this.#next]!;
    const isAffordable = this.#creditSeconds >= liveSeconds * (shadow.cost ?? 1);
    const isBusy = isAffordable && this.#options.isBusy();
    const asked = isAffordable && !isBusy ? shadow : null;
    for (const each of this.#shadows) if (each !== asked) each.tally.skipped[isBusy ? 'busy' : 'overShare'] += 1;
    if (asked === null) return;

    this.#next = (this.#next + 1) % this.#shadows.length;
    const startMs = this.#clock.nowMs();
    this.#ask(shadow, look);
    const seconds = (this.#clock.nowMs() - startMs) / 1000;
    this.#creditSeconds -= seconds;
    this.#spentSeconds += seconds;
    if (liveSeconds === 0) return;
    const cost = seconds / liveSeconds;
    shadow.cost = shadow.cost === null ? cost : shadow.cost + learningShare * (cost - shadow.cost);
  }

  /** The request has ended: shadows learn from it as the live policy does. */
  finished(live: Decision, outcome: Outcome): void {
    if (this.#shadows.length === 0) return;
    const asked = this.#asked.get(live);
    if (asked === undefined) return;
    this.#asked.delete(live);
    const { shadow, decision } = asked;
    for (const [index, plugin] of shadow.policy.stateful.entries()) {
      plugin.finish?.(shadow.states[index], decision, outcome);
    }
  }

  #ask(shadow: Shadow, { request, view, decision: live, ttftSeconds }: Look): void {
    const { policy, states } = shadow;
    const result = schedule(policy, states, request, view, live.seed);
    const [slot] = result.picked;
    const picked = slot === undefined ? -1 : view.eligible.indexOf(slot);
    const pick = {
      policy: policy.name,
      picked: live.candidates[picked]?.endpoint ?? null,
      ttftSeconds: slot === undefined ? NaN : ttftSeconds(slot),
      cachedTokens: live.inputs.cachedTokens[picked] ?? NaN,
    };
    live.shadow.push(pick);
    shadow.tally.add(live, pick);
    if (picked < 0 || policy.stateful.length === 0) return;
    const { name, hash } = policy;
    const { profiles, primary: primaryProfile } = result;
    const decision: Decision = { ...live, policy: { name, hash }, profiles, primaryProfile, picked };
    for (const [index, plugin] of policy.stateful.entries()) plugin.commit?.(states[index], decision);
    this.#asked.set(live, { shadow, decision });
  }
}
