import { callerOf } from '../admission/objectives.ts';
import type { Asking } from '../admission/held.ts';
import { shortageOf } from '../admission/saturation.ts';
import type { Clock } from '../base/clock.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { prefillCost } from '../fleet/prefill-cost.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { Journal } from '../journal/journal.ts';
import { counterfactual, type Counterfactual } from '../scheduler/counterfactual.ts';
import type { Decision } from '../scheduler/decision.ts';
import { newStates, type Policy, type PolicyStates } from '../scheduler/policy.ts';
import { recordDecision } from '../scheduler/record.ts';
import { schedule, type Schedule } from '../scheduler/schedule.ts';
import type { FleetView } from '../scheduler/view.ts';
import { Arrivals } from './arrivals.ts';
import { choiceOf, computingSlot, type Choice } from './choice.ts';
import { Flight } from './flight.ts';
import { Shadows, type ShadowOptions } from './shadows.ts';
import { RetryBudget } from './retry-budget.ts';
import { Holding, type Reserved, type Wait } from './holding.ts';
import { anyCaller, type SchedulingRequest } from '../scheduler/request.ts';

interface DispatchOptions {
  readonly clock: Clock;
  /** Seeds of decisions and their ids. */
  readonly random: Random;
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly policy: Policy;
  readonly shadows?: ShadowOptions;
}

interface PlaceHandlers {
  /** An endpoint was picked and counted. */
  placed(flight: Flight): void;
  /** Nothing can take it. The decision says what was seen; null when there was nothing to decide on. */
  refused(error: SignalboxError, decision: Decision | null): void;
}

/** A request that may still be waiting for its place. */
interface Ticket {
  /** Gives the place up; nothing is called after it. False, and without effect, once placed or refused. */
  cancel(): boolean;
}

/** A request with what to do when its place is known. */
interface Asked {
  readonly request: SchedulingRequest;
  readonly key: PrefixKey;
  readonly handlers: PlaceHandlers;
  /** Slots that it must not go to. */
  readonly excluded: ReadonlySet<number>;
  /** What waited ahead of it when it came; null until it has to wait. */
  ahead: Decision['admission']['ahead'];
}

/** A request that waits in the gateway. */
interface HeldRequest {
  readonly request: SchedulingRequest;
  readonly ahead: Decision['admission']['ahead'];
  readonly heldSeconds: number;
  /** Null until it was tried; the endpoint where it would go, null when there is none. */
  readonly waitsFor: { readonly endpoint: string | null; readonly what: Wait['what'] } | null;
}

/** What the scheduler would do now. */
interface Look {
  readonly startMs: number;
  readonly seed: number;
  readonly view: FleetView;
  readonly result: Schedule;
  readonly choice: Choice | null;
}

const noneReserved: Reserved = new Map();
const noSlots: ReadonlySet<number> = new Set();

/**
 * A request's one way through: view, pick, count, attempts, end. Every front door and the replay use it, with their own
 * clock and random; nothing here waits on a promise, so a virtual clock can drive it.
 */
export class Dispatch {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly clock: Clock;
  /** What became of the requests that came, counted since the start. */
  readonly arrivals = new Arrivals();
  readonly shadows: Shadows;
  readonly retries = new RetryBudget();
  readonly #random: Random;
  readonly #idPrefix: string;
  readonly #holding: Holding<Asked>;
  #decisions = 0;
  #policy: Policy;
  #states: PolicyStates;

  constructor({ clock, random, fleet, journal, policy, shadows }: DispatchOptions) {
    this.clock = clock;
    this.#random = random;
    this.fleet = fleet;
    this.journal = journal;
    this.#policy = policy;
    this.#states = newStates(policy);
    this.shadows = new Shadows(clock, shadows ?? { policies: [], isBusy: () => false });
    this.#holding = new Holding(clock, policy.hold, {
      tryToPlace: (...held) => this.#tryToPlace(...held),
      nonePlaceable: () => this.#nonePlaceable(),
      expired: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, waitedTooLong(waitedSeconds)),
      missed: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, missed(asked.request, waitedSeconds)),
      evicted: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, madeRoom()),
    });
    this.#idPrefix = random
      .below(2 ** 32)
      .toString(36)
      .padStart(7, '0');
  }

  /** Requests held for later. */
  get held(): number {
    return this.#holding.size;
  }

  get heldBytes(): number {
    return this.#holding.bytes;
  }

  /** What waits by priority. */
  get bands(): Holding<Asked>['bands'] {
    return this.#holding.bands;
  }

  /** The first `limit` of those held, next first. */
  heldRequests(limit: number): HeldRequest[] {
    const nowMs = this.clock.nowMs();
    return this.#holding.queue(limit).map(({ asked, arrivedAtMs, wait }) => ({
      request: asked.request,
      ahead: asked.ahead,
      heldSeconds: (nowMs - arrivedAtMs) / 1000,
      waitsFor: wait && { endpoint: this.fleet.endpointAt(wait.slot)?.name ?? null, what: wait.what },
    }));
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** From the next request on; those on their way end under the policy that placed them. */
  setPolicy(policy: Policy): void {
    this.#policy = policy;
    this.#states = newStates(policy);
    this.shadows.restart();
    this.#holding.setRule(policy.hold);
  }

  /** An endpoint has come, or has become ready: those who wait may go there. */
  placeHeld(): void {
    this.#holding.placeHeld();
  }

  /**
   * Places a request, holds it for later, or says why neither can be. Handlers are called once, perhaps at once.
   * It goes to none of the slots in `excluded`, for whoever asks has named a part of the pool.
   */
  place(
    request: SchedulingRequest,
    key: PrefixKey,
    handlers: PlaceHandlers,
    excluded: ReadonlySet<number> = noSlots,
  ): Ticket {
    const unknown = this.#unknownModel(request.model);
    if (unknown !== null) {
      this.#refuse(handlers, unknown, null);
      return { cancel: () => false };
    }
    const { hold } = this.#policy;
    const caller = request.caller ?? (hold === null ? null : callerOf(request, hold.objectives));
    const asked: Asked = {
      request: caller === null ? request : { ...request, caller },
      key,
      handlers,
      excluded,
      ahead: null,
    };
    // While others are held, nobody is placed out of turn.
    const isFirst = this.#holding.size === 0;
    if ((isFirst || hold === null) && this.#tryToPlace(asked, null, noneReserved) === null) {
      return { cancel: () => false };
    }
    const asking = this.#askingOf(asked);
    const { requests, seconds } = this.#holding.aheadOf(asking, this.fleet.slots.length);
    asked.ahead = { requests, seconds: seconds + this.fleet.leastQueuedPrefillSeconds(asking.arrivedAtMs) };
    const late = tooLate(asking, asked.ahead.seconds);
    const held = late === null ? this.#holding.hold(asked, asking) : null;
    if (held === null) {
      this.#turnAway(asked, 0, late ?? queueIsFull(this.#holding.size));
      return { cancel: () => false };
    }
    this.arrivals.held += 1;
    this.#holding.placeHeld();
    return {
      cancel: () => {
        const wasHeld = held.cancel();
        if (wasHeld) this.arrivals.left += 1;
        return wasHeld;
      },
    };
  }

  /** What would have changed a decision: a search that yields between its steps. */
  counterfactual(decision: Decision): Generator<undefined, Counterfactual> {
    return counterfactual(decision, this.#policy, prefillCost);
  }

  /** The decision that would be made now; nothing is counted, kept or sent. Throws `model_unknown`. */
  explain(request: SchedulingRequest, key: PrefixKey): Decision {
    const unknown = this.#unknownModel(request.model);
    if (unknown !== null) throw unknown;
    const look = this.#look(request, key, noSlots);
    return this.#record(look, request, null);
  }

  /** Null when the request was placed or turned away; else what it has to wait for. */
  #tryToPlace(
    { request, key, handlers, excluded, ahead }: Asked,
    heldSinceMs: number | null,
    reserved: Reserved,
  ): Wait | null {
    const policy = this.#policy;
    const states = this.#states;
    const look = this.#look(request, key, excluded, reserved);
    const { choice } = look;
    const wait = this.#waitFor(look, request, heldSinceMs);
    if (wait !== null) return wait;
    const decision = this.#record(look, request, heldSinceMs, ahead);
    const { view } = look;
    const { queuedSeconds } = decision.admission;
    const ttftSeconds = (slot: number): number => this.#predict(request, view, slot, queuedSeconds).ttftSeconds;
    this.shadows.compare({ request, view, decision, ttftSeconds });
    this.journal.record(decision);
    if (choice === null) {
      this.#endUnplaced(decision, handlers, this.#refusal(request.model, decision));
      return null;
    }
    this.arrivals.placed += 1;
    const caller = request.caller ?? anyCaller;
    this.#holding.charge(caller, request.promptTokens - decision.predicted.cachedTokens);
    for (const [index, plugin] of policy.stateful.entries()) plugin.commit?.(states[index], decision);
    this.retries.placed(this.fleet.ledger.total);
    handlers.placed(
      new Flight(decision, request, key, choice, {
        fleet: this.fleet,
        journal: this.journal,
        clock: this.clock,
        retries: this.retries,
        pickAnother: (tried) => this.#another(policy, states, request, key, new Set([...tried, ...excluded])),
        finished: (outcome) => {
          this.#holding.charge(caller, (outcome.completionTokens ?? 0) * outputTokenWeight);
          for (const [index, plugin] of policy.stateful.entries()) plugin.finish?.(states[index], decision, outcome);
          this.shadows.finished(decision, outcome);
        },
        freed: () => this.#holding.placeHeld(),
      }),
    );
    return null;
  }

  /** What the request has to wait for before it goes where the scheduler would send it now; null when for nothing. */
  #waitFor({ view, choice }: Look, request: SchedulingRequest, heldSinceMs: number | null): Wait | null {
    const { hold } = this.#policy;
    if (hold === null) return null;
    if (choice !== null) {
      const shortage = shortageOf(view, computingSlot(choice), request, hold, this.fleet);
      return shortage && { ...shortage, prefillSeconds: view.prefillSeconds()[shortage.slot]! };
    }
    const waitedMs = heldSinceMs === null ? 0 : view.nowMs - heldSinceMs;
    if (!this.fleet.isScaledToZero || waitedMs >= hold.scaleFromZeroSeconds * 1000) return null;
    return { slot: -1, what: 'endpoint', seconds: 1, prefillSeconds: 0 };
  }

  /** Nobody who waits can be placed while the endpoint with the least prefill has too much of it. */
  #nonePlaceable(): number | null {
    const bound = this.#policy.hold?.maxPrefillBacklogSeconds ?? null;
    if (bound === null) return null;
    const over = this.fleet.leastQueuedPrefillSeconds(this.clock.nowMs()) - bound;
    return over > 0 && over < Infinity ? over : null;
  }

  #askingOf({ request, key, excluded }: Asked): Asking {
    const nowMs = this.clock.nowMs();
    const view = this.fleet.view(request.model, request.promptTokens, key, nowMs, excluded);
    const seconds = view.prefillSeconds();
    const cached = view.cachedTokens();
    let prefillSeconds = Infinity;
    let mostCached = 0;
    for (const slot of view.eligible) {
      prefillSeconds = Math.min(prefillSeconds, seconds[slot]!);
      mostCached = Math.max(mostCached, cached[slot]!);
    }
    return {
      caller: request.caller ?? anyCaller,
      arrivedAtMs: nowMs,
      prefillSeconds: prefillSeconds === Infinity ? 0 : prefillSeconds,
      uncachedTokens: request.promptTokens - mostCached,
      bytes: request.bytes ?? 0,
      timeoutSeconds: request.timeoutSeconds ?? null,
    };
  }

  /** One that waited, or would have to, is told that it is not to be, with a Decision that says why. */
  #turnAway(asked: Asked, waitedSeconds: number, error: SignalboxError): void {
    const look = this.#look(asked.request, asked.key, asked.excluded);
    this.#reject(look, asked, look.startMs - waitedSeconds * 1000, error);
  }

  #reject(look: Look, { request, handlers, ahead }: Asked, heldSinceMs: number, error: SignalboxError): void {
    const decision = this.#record(look, request, heldSinceMs, ahead, error.message);
    this.journal.record(decision);
    this.#endUnplaced(decision, handlers, error);
  }

  #endUnplaced(decision: Decision, handlers: PlaceHandlers, error: SignalboxError): void {
    decision.outcome = endedUnplaced(error.status);
    this.journal.ended(decision);
    this.#refuse(handlers, error, decision);
  }

  #refuse(handlers: PlaceHandlers, error: SignalboxError, decision: Decision | null): void {
    this.arrivals.refuse(error.code);
    handlers.refused(error, decision);
  }

  #look(
    request: SchedulingRequest,
    key: PrefixKey,
    excluded: ReadonlySet<number>,
    reserved: Reserved = noneReserved,
  ): Look {
    const startMs = this.clock.nowMs();
    const seed = this.#random.below(2 ** 32);
    const { view, result } = this.#run(this.#policy, this.#states, request, key, seed, excluded, reserved);
    return { startMs, seed, view, result, choice: choiceOf(view, result) };
  }

  #record(
    { startMs, seed, view, result, choice }: Look,
    request: SchedulingRequest,
    heldSinceMs: number | null,
    ahead: Decision['admission']['ahead'] = null,
    rejection: string | null = null,
  ): Decision {
    const queuedSeconds = heldSinceMs === null ? 0 : Math.max(0, startMs - heldSinceMs) / 1000;
    return recordDecision(this.#policy, request, view, result, {
      id: `${this.#idPrefix}-${(++this.#decisions).toString(36)}`,
      epochMs: this.clock.epochMs(),
      seed,
      queuedSeconds,
      caller: request.caller ?? anyCaller,
      ahead,
      rejection,
      schedulerSeconds: (this.clock.nowMs() - startMs) / 1000,
      predicted:
        choice === null
          ? { ttftSeconds: NaN, e2eSeconds: NaN }
          : this.#predict(request, view, choice.slot, queuedSeconds, computingSlot(choice)),
    });
  }

  #another(
    policy: Policy,
    states: PolicyStates,
    request: SchedulingRequest,
    key: PrefixKey,
    tried: ReadonlySet<number>,
  ): Choice | null {
    const { view, result } = this.#run(policy, states, request, key, this.#random.below(2 ** 32), tried);
    return choiceOf(view, result);
  }

  #run(
    policy: Policy,
    states: PolicyStates,
    request: SchedulingRequest,
    key: PrefixKey,
    seed: number,
    tried: ReadonlySet<number>,
    reserved: Reserved = noneReserved,
  ): { view: FleetView; result: Schedule } {
    const view = this.fleet.view(request.model, request.promptTokens, key, this.clock.nowMs(), tried);
    for (const [slot, seconds] of reserved) view.queuedPrefillSeconds[slot]! += seconds;
    return { view, result: schedule(policy, states, request, view, seed) };
  }

  #predict(
    request: SchedulingRequest,
    view: FleetView,
    slot: number,
    queuedSeconds: number,
    computesAt = slot,
  ): { ttftSeconds: number; e2eSeconds: number } {
    const { speed } = this.fleet;
    if (Number.isNaN(speed.relative[computesAt])) return { ttftSeconds: NaN, e2eSeconds: NaN };
    const ttftSeconds = queuedSeconds + view.queuedPrefillSeconds[computesAt]! + view.prefillSeconds()[computesAt]!;
    const e2eSeconds = ttftSeconds + (request.maxOutputTokens ?? NaN) * speed.secondsPerOutputToken[slot]!;
    return { ttftSeconds, e2eSeconds };
  }

  #refusal(model: string, decision: Decision): SignalboxError {
    const { fleet } = this;
    const retry = { retryAfterSeconds: 1 };
    if (fleet.slots.length === 0) return new SignalboxError('no_endpoint', 'No endpoint is known yet.', retry);
    if (!fleet.anyReady) {
      const message = `None of the ${fleet.slots.length} endpoints is ready: they are starting, or do not answer.`;
      return new SignalboxError('no_endpoint', message, retry);
    }
    if (decision.candidates.length > 0) {
      const reasons = decision.profiles.flatMap(({ filters }) => filters.flatMap(({ dropped }) => dropped));
      const why = [...new Set(reasons.map(({ reason }) => reason))].join('; ');
      return new SignalboxError('no_endpoint', `The policy leaves no endpoint for this request: ${why}.`, retry);
    }
    return new SignalboxError('no_endpoint', `No endpoint that serves "${model}" is ready.`, retry);
  }

  /** Nothing to decide on while others are ready, but none has ever served the model. */
  #unknownModel(model: string): SignalboxError | null {
    const { fleet } = this;
    if (model === '' || !fleet.anyReady || fleet.knowsModel(model)) return null;
    const models = [...fleet.models().keys()].sort();
    const shown = models.slice(0, 20).join(', ') + (models.length > 20 ? ', …' : '');
    const message = `The model "${model.slice(0, 200)}" does not exist here. Models: ${shown === '' ? 'none' : shown}.`;
    return new SignalboxError('model_unknown', message, { param: 'model' });
  }
}

/** Whether its turn would come too late for what it asked for. */
function tooLate({ caller, prefillSeconds }: Asking, aheadSeconds: number): SignalboxError | null {
  const target = caller.ttftTargetSeconds;
  const seconds = aheadSeconds + prefillSeconds;
  return target !== null && seconds > target ? cannotBeMet(target, seconds) : null;
}

/** Service is counted in input tokens, and an output token as so many (VTC, OSDI '24). */
const outputTokenWeight = 2;

function missed(
  { caller = anyCaller, timeoutSeconds = Infinity }: SchedulingRequest,
  waitedSeconds: number,
): SignalboxError {
  if (waitedSeconds >= timeoutSeconds) {
    const message = `Every endpoint was busy for the ${timeoutSeconds} s that the client waits.`;
    return new SignalboxError('endpoint_timeout', message, { retryAfterSeconds: 5 });
  }
  return cannotBeMet(caller.ttftTargetSeconds ?? 0, waitedSeconds);
}

function cannotBeMet(target: number, seconds: number): SignalboxError {
  const message = `The first token was wanted within ${target} s and would come after about ${seconds.toFixed(1)} s.`;
  return new SignalboxError('saturated', message, { retryAfterSeconds: Math.max(1, seconds - target) });
}

function queueIsFull(waiting: number): SignalboxError {
  const message = `Every endpoint is busy, and ${waiting} requests wait already.`;
  return new SignalboxError('saturated', message, { retryAfterSeconds: 5 });
}

function waitedTooLong(seconds: number): SignalboxError {
  const message = `Every endpoint was busy for the ${seconds.toFixed(0)} s that a request may wait.`;
  return new SignalboxError('saturated', message, { retryAfterSeconds: 5 });
}

function madeRoom(): SignalboxError {
  const message = 'Every endpoint is busy, and requests of a higher priority took the room to wait.';
  return new SignalboxError('saturated', message, { retryAfterSeconds: 5 });
}

function endedUnplaced(status: number): NonNullable<Decision['outcome']> {
  return { status, endpoint: null, cachedTokens: null, ttftSeconds: null, e2eSeconds: null, completionTokens: null };
}
