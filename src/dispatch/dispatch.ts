import { callerOf } from '../admission/objectives.ts';
import type { Asking } from '../admission/held.ts';
import { Headroom } from '../admission/headroom.ts';
import { kvRoomTokens } from '../admission/kv-room.ts';
import { lookAgainSeconds, shortageOf } from '../admission/saturation.ts';
import type { Clock } from '../base/clock.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { prefillCost } from '../fleet/prefill-cost.ts';
import { prefixBlocksOf, type PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { Journal } from '../journal/journal.ts';
import { counterfactual, type Counterfactual } from '../scheduler/counterfactual.ts';
import type { Decision, ShedReason } from '../scheduler/decision.ts';
import { newStates, type Policy, type PolicyStates } from '../scheduler/policy.ts';
import { recordDecision } from '../scheduler/record.ts';
import { schedule, type Probe, type Schedule } from '../scheduler/schedule.ts';
import type { FleetView } from '../scheduler/view.ts';
import { Arrivals } from './arrivals.ts';
import { choiceOf, computingSlot, type Choice } from './choice.ts';
import { Flight } from './flight.ts';
import { Shadows, type ShadowOptions } from './shadows.ts';
import { RetryBudget } from './retry-budget.ts';
import { Holding, type Load, type NonePlaceable, type Place, type Reserved, type Wait } from './holding.ts';
import { Recalls, Sent } from './recalls.ts';
import { decodes, Rooms, type Room } from './rooms.ts';
import {
  cannotBeMet,
  clientWaitsNoLonger,
  madeRoom,
  queueIsFull,
  waitedTooLong,
  type TurnedAway,
} from './turned-away.ts';
import { anyCaller, type Caller, type SchedulingRequest } from '../scheduler/request.ts';

interface DispatchOptions {
  readonly clock: Clock;
  /** Seeds of decisions and their ids. */
  readonly random: Random;
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly policy: Policy;
  readonly shadows?: ShadowOptions;
  /** Told what plugins take, of one look in sixteen. */
  readonly probe?: Probe;
  /** What decisions are called, where others that decide number theirs with these. */
  readonly ids?: DecisionIds;
}

/** Names of decisions: all begin alike, and one that is made later has a higher number. */
export interface DecisionIds {
  readonly prefix: string;
  next(): number;
}

interface PlaceHandlers {
  /** An endpoint was picked and counted. */
  placed(flight: Flight): void;
  /** Nothing can take it. The decision says what was seen; null when there was nothing to decide on. */
  refused(error: SignalboxError, decision: Decision | null): void;
  /**
   * A higher priority needs the room: stops what was sent and says true, or false when something of an answer has reached
   * the client. `placed` is called again later with the same flight. Absent where the front door cannot do that.
   */
  takeBack?(flight: Flight): boolean;
}

/** A request that may still be waiting for its place. */
interface Ticket {
  /** Gives the place up; nothing is called after it. False, and without effect, once placed or refused. */
  cancel(): boolean;
  /** What is ahead of it now, as `Decision.admission.ahead`; null when it does not wait. */
  ahead(): Decision['admission']['ahead'];
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
  /** Its place in the queue, while it waits. */
  held: Place | null;
  /** What it was taken back from; null where it has not been sent yet. */
  flight: Flight | null;
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
  /** Slots whose KV cache has no room for it, the one with most room first. */
  readonly full: readonly Room[];
}

/** What a look goes by beside the fleet itself. */
interface Circumstances {
  /** Never to be picked. */
  readonly excluded: ReadonlySet<number>;
  /** What those further in front are going to bring. */
  readonly reserved: Reserved;
  /** What would be taken back. */
  readonly recalled: Reserved;
  /** A place is looked for that it would really take: room in the KV cache counts. */
  readonly forRoom: boolean;
}

/** Measuring plugins takes as long as some of them do: it is done once in so many looks. */
const probedEvery = 16;
const noTicket: Ticket = { cancel: () => false, ahead: () => null };
const noneReserved: Reserved = new Map<number, Load>();
const noneFull: readonly Room[] = [];
const noneLeftOut: readonly string[] = [];
const noSlots: ReadonlySet<number> = new Set();
const noCircumstances = { excluded: noSlots, reserved: noneReserved, recalled: noneReserved };
/** Nothing was asked of the scheduler. */
const notScheduled: Schedule = {
  profiles: [],
  picked: [],
  primary: -1,
  prefill: -1,
  prefillPicked: [],
  verdict: null,
};
const unseen = { complete: false, promptTokens: null, cachedTokens: null, completionTokens: null };

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
  readonly #ids: DecisionIds;
  readonly #holding: Holding<Asked>;
  readonly #recalls = new Recalls();
  readonly #headroom = new Headroom();
  /** Output tokens of an answer, as they have been of late: what a request is charged until it has ended. */
  #usualOutputTokens = 0;
  /** As it is known in the look that is under way. */
  #rooms: Rooms | null = null;
  /** Called with each request that was placed, and with the service that its tenant is charged for. */
  onPlaced: ((request: SchedulingRequest, key: PrefixKey, decision: Decision) => void) | null = null;
  onCharge: ((caller: Caller, tokens: number) => void) | null = null;
  readonly #probe: Probe | null;
  #looks = 0;
  #policy: Policy;
  #states: PolicyStates;

  constructor({ clock, random, fleet, journal, policy, shadows, probe, ids }: DispatchOptions) {
    this.#probe = probe ?? null;
    this.clock = clock;
    this.#random = random;
    this.fleet = fleet;
    this.journal = journal;
    this.#policy = policy;
    this.#states = newStates(policy);
    this.shadows = new Shadows(clock, shadows ?? { policies: [], isBusy: () => false });
    this.#holding = new Holding(clock, policy.hold, {
      tryToPlace: (...held) => this.#tryToPlace(...held),
      nonePlaceable: (...all) => this.#nonePlaceable(...all),
      expired: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, waitedTooLong(waitedSeconds)),
      missed: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, missed(asked, waitedSeconds)),
      evicted: (asked, waitedSeconds) => this.#turnAway(asked, waitedSeconds, madeRoom()),
    });
    this.#ids = ids ?? idsFrom(random);
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

  /** A tenant was served by another replica. */
  chargedElsewhere(priority: number, fairnessId: string, tokens: number): void {
    this.#holding.charge({ ...anyCaller, priority, fairnessId }, tokens);
  }

  /** Names of the endpoints that this request would go to now, all of them equally good; nothing is counted or kept. */
  wouldPick(request: SchedulingRequest, key: PrefixKey, seed: number): string[] {
    const view = this.fleet.view(request.model, request.promptTokens, key, this.clock.nowMs(), noSlots);
    const result = schedule(this.#policy, this.#states, request, view, seed);
    const record = result.profiles[result.primary];
    const slots = [...result.picked, ...Array.from(record?.picker.tied ?? [], (at) => view.eligible[at]!)];
    return [...new Set(slots)].map((slot) => this.fleet.endpointAt(slot)!.name);
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
      return noTicket;
    }
    const { hold } = this.#policy;
    const caller = request.caller ?? (hold === null ? null : callerOf(request, hold.objectives));
    const asked: Asked = {
      request: caller === null ? request : { ...request, caller },
      key,
      handlers,
      excluded,
      ahead: null,
      held: null,
      flight: null,
    };
    const ticket = { cancel: () => this.#cancel(asked), ahead: () => this.#aheadNow(asked) };
    // While others are held, nobody is placed out of turn.
    const isFirst = this.#holding.size === 0;
    if ((isFirst || hold === null) && this.#tryToPlace(asked, null, noneReserved) === null) return ticket;
    const asking = this.#askingOf(asked);
    asked.ahead = this.#ahead(asking);
    const late = tooLate(asking, asked.ahead.seconds);
    asked.held = late === null ? this.#holding.hold(asked, asking) : null;
    if (asked.held === null) {
      this.#turnAway(asked, 0, late ?? queueIsFull(this.#holding.size));
      return noTicket;
    }
    this.arrivals.held += 1;
    this.#holding.placeHeld();
    return ticket;
  }

  #ahead(asking: Asking): NonNullable<Decision['admission']['ahead']> {
    const { requests, seconds } = this.#holding.aheadOf(asking, this.fleet.slots.length);
    const expected = seconds + this.fleet.leastQueuedPrefillSeconds(this.clock.nowMs());
    return { requests, seconds: expected < Infinity ? expected : NaN };
  }

  #aheadNow({ held }: Asked): Decision['admission']['ahead'] {
    if (held === null) return null;
    const { requests, seconds } = this.#ahead(held.asking);
    // It is one of those that its tenant has waiting.
    return { requests: Math.max(0, requests - 1), seconds };
  }

  #cancel({ held, flight }: Asked): boolean {
    if (held?.cancel() !== true) return false;
    this.arrivals.left += 1;
    flight?.finish({ ...unseen, status: 499, reason: 'the client left' });
    return true;
  }

  /** What would have changed a decision: a search that yields between its steps. */
  counterfactual(decision: Decision): Generator<undefined, Counterfactual> {
    return counterfactual(decision, this.#policy, prefillCost);
  }

  /** The decision that would be made now; nothing is counted, kept or sent. Throws `model_unknown`. */
  explain(request: SchedulingRequest, key: PrefixKey): Decision {
    const unknown = this.#unknownModel(request.model);
    if (unknown !== null) throw unknown;
    const look = this.#look(request, key, { ...noCircumstances, forRoom: false });
    return this.#record(look, request, key, null);
  }

  /** Null when the request was placed or turned away; else what it has to wait for. */
  #tryToPlace(asked: Asked, heldSinceMs: number | null, reserved: Reserved): Wait | null {
    const { request, key, handlers, excluded, flight } = asked;
    const priority = request.caller?.priority ?? 0;
    if (this.#rooms?.reserved === reserved && excluded === noSlots) {
      const roomiest = this.#rooms.roomiest(this.fleet.eligibleFor(request.model), priority);
      if (roomiest.slot >= 0 && roomiest.roomTokens < request.promptTokens) return fullWait(roomiest, request);
    }
    // Nothing is taken back while there is room elsewhere, which there is not where others wait.
    const recalled = this.held > 0 ? this.#recalls.loadBelow(priority) : noneReserved;
    const look = this.#look(request, key, { excluded, reserved, recalled, forRoom: true });
    const wait = this.#waitFor(look, request, heldSinceMs);
    if (wait !== null) return wait;
    asked.held = null;
    if (look.choice !== null && recalled.has(look.choice.slot)) {
      this.#recalls.takeBack(look.choice.slot, priority);
      this.#rooms = null;
    }
    if (flight !== null) {
      if (look.choice === null) this.#endTakenBack(asked, flight, this.#refusal(request.model, look));
      else this.#placeAgain(asked, flight, look.choice);
      return null;
    }
    const decision = this.#record(look, request, key, heldSinceMs, asked.ahead);
    const { view, choice } = look;
    const { queuedSeconds } = decision.admission;
    const ttftSeconds = (slot: number): number => this.#predict(request, view, slot, queuedSeconds).ttftSeconds;
    this.shadows.compare({ request, view, decision, ttftSeconds });
    this.journal.record(decision);
    if (choice === null) {
      this.#endUnplaced(decision, asked, this.#refusal(request.model, look));
      return null;
    }
    this.arrivals.placed += 1;
    const placed = this.#fly(asked, decision, choice);
    this.#sent(asked, placed);
    handlers.placed(placed);
    return null;
  }

  #placeAgain(asked: Asked, flight: Flight, choice: Choice): void {
    flight.placeAgain(choice);
    this.#sent(asked, flight);
    asked.handlers.placed(flight);
  }

  /** It waited for a place again, and gets none. */
  #endTakenBack({ handlers }: Asked, flight: Flight, error: SignalboxError): void {
    flight.finish({ ...unseen, status: error.status, reason: error.message });
    this.#refuse(handlers, error, flight.decision);
  }

  #fly({ request, key, excluded }: Asked, decision: Decision, choice: Choice): Flight {
    const policy = this.#policy;
    const states = this.#states;
    const caller = request.caller ?? anyCaller;
    const expectedTokens = Math.min(this.#usualOutputTokens, request.maxOutputTokens ?? Infinity);
    this.#charge(caller, chargeOf(decision) + expectedTokens * outputTokenWeight);
    this.#headroom.placed(caller.priority, request.promptTokens, decision.nowMs);
    for (let i = 0; i < policy.stateful.length; i++) policy.stateful[i]!.commit?.(states[i], decision);
    this.onPlaced?.(request, key, decision);
    this.retries.placed(this.fleet.ledger.total);
    const flight: Flight = new Flight(decision, request, key, choice, {
      fleet: this.fleet,
      journal: this.journal,
      clock: this.clock,
      retries: this.retries,
      pickAnother: (tried) => this.#another(policy, states, request, key, new Set([...tried, ...excluded])),
      answering: () => this.#recalls.settled(flight),
      finished: (outcome) => {
        const { cachedTokens, completionTokens } = outcome;
        this.#recalls.settled(flight);
        this.#headroom.ended(caller.priority, request.promptTokens);
        const moreInput = cachedTokens === null ? 0 : decision.predicted.cachedTokens - cachedTokens;
        this.#charge(caller, moreInput + ((completionTokens ?? 0) - expectedTokens) * outputTokenWeight);
        if (completionTokens !== null) this.#usualOutputTokens += (completionTokens - this.#usualOutputTokens) / 100;
        for (let i = 0; i < policy.stateful.length; i++) policy.stateful[i]!.finish?.(states[i], decision, outcome);
        this.shadows.finished(decision, outcome);
      },
      freed: (what) => this.#holding.placeHeld(what),
    });
    return flight;
  }

  #charge(caller: Caller, tokens: number): void {
    this.#holding.charge(caller, tokens);
    this.onCharge?.(caller, tokens);
  }

  /** From here on it may be taken back, until something has come of it. */
  #sent(asked: Asked, flight: Flight): void {
    const { request, handlers } = asked;
    const { hold } = this.#policy;
    if (handlers.takeBack === undefined || hold === null || hold.utilization !== null || flight.prefill !== null)
      return;
    const takeBack = (): void => {
      if (handlers.takeBack?.(flight) !== true) return;
      flight.takeBack();
      this.arrivals.takenBack += 1;
      const { admission, nowMs } = flight.decision;
      const asking = { ...this.#askingOf(asked), arrivedAtMs: nowMs - admission.queuedSeconds * 1000 };
      asked.flight = flight;
      asked.held = this.#holding.hold(asked, asking);
      if (asked.held === null) this.#turnAway(asked, 0, madeRoom());
    };
    this.#recalls.sent(new Sent(flight, request.caller?.priority ?? 0, takeBack));
  }

  /** What the request has to wait for before it goes where the scheduler would send it now; null when for nothing. */
  #waitFor({ view, choice, full }: Look, request: SchedulingRequest, heldSinceMs: number | null): Wait | null {
    const { hold } = this.#policy;
    if (hold === null) return null;
    const waitedSeconds = heldSinceMs === null ? 0 : (view.nowMs - heldSinceMs) / 1000;
    if (choice !== null) {
      const kvTokens = request.promptTokens;
      const shortage = shortageOf(view, computingSlot(choice), request, hold, this.fleet, waitedSeconds);
      return shortage && { ...shortage, prefillSeconds: view.prefillSeconds()[shortage.slot]!, kvTokens };
    }
    const [roomiest] = full;
    if (roomiest !== undefined) return fullWait(roomiest, request);
    if (!this.fleet.isScaledToZero || waitedSeconds >= hold.scaleFromZeroSeconds) return null;
    return { slot: -1, what: 'endpoint', seconds: 1, prefillSeconds: 0, kvTokens: 0 };
  }

  /**
   * Nobody who waits can be placed while no KV cache has room for the shortest prompt, or while the endpoint with the
   * least prefill has too much of it, and all of that stays.
   */
  #nonePlaceable(bands: Holding<Asked>['bands'], reserved: Reserved): NonePlaceable | null {
    this.#rooms = null;
    const { hold } = this.#policy;
    const highest = bands.find(({ size }) => size > 0);
    const slots = this.fleet.eligibleFor('');
    if (hold === null || hold.utilization !== null || highest === undefined || slots.length === 0) return null;
    if (this.#recalls.anyBelow(highest.rule.priority)) return null;
    const nowMs = this.clock.nowMs();
    const rooms = new Rooms(this.fleet, this.#headroom, reserved, nowMs);
    this.#rooms = rooms;
    const fits = ({ size, rule, leastPromptTokens }: Holding<Asked>['bands'][number]): boolean =>
      size > 0 && rooms.roomiest(slots, rule.priority).roomTokens >= leastPromptTokens;
    if (!bands.some(fits)) return { what: 'kv-cache', seconds: lookAgainSeconds };
    const bound = hold.maxPrefillBacklogSeconds ?? Infinity;
    let least = Infinity;
    for (const slot of slots) {
      least = Math.min(
        least,
        this.fleet.queuedPrefillSecondsAt(slot, nowMs) + (reserved.get(slot)?.prefillSeconds ?? 0),
      );
      if (least <= bound) return null;
    }
    return { what: 'prefill', seconds: least - bound };
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
      promptTokens: request.promptTokens,
      uncachedTokens: request.promptTokens - mostCached,
      bytes: request.bytes ?? 0,
      timeoutSeconds: request.timeoutSeconds ?? null,
    };
  }

  /** One that waited, or would have to, is told that it is not to be, with a Decision that says why. */
  #turnAway(asked: Asked, waitedSeconds: number, { shed, error }: TurnedAway): void {
    const { request, key, excluded, ahead, flight } = asked;
    asked.held = null;
    this.arrivals.turnAway(shed);
    if (flight !== null) return this.#endTakenBack(asked, flight, error);
    const look = this.#look(request, key, { ...noCircumstances, excluded, forRoom: false });
    const heldSinceMs = look.startMs - waitedSeconds * 1000;
    const decision = this.#record(look, request, key, heldSinceMs, ahead, { shed, message: error.message });
    this.journal.record(decision);
    this.#endUnplaced(decision, asked, error);
  }

  #endUnplaced(decision: Decision, { handlers }: Asked, error: SignalboxError): void {
    decision.outcome = endedUnplaced(error.status);
    this.journal.ended(decision);
    this.#refuse(handlers, error, decision);
  }

  #refuse(handlers: PlaceHandlers, error: SignalboxError, decision: Decision | null): void {
    this.arrivals.refuse(error.code);
    handlers.refused(error, decision);
  }

  #look(request: SchedulingRequest, key: PrefixKey, circumstances: Circumstances): Look {
    const startMs = this.clock.nowMs();
    const seed = this.#random.below(2 ** 32);
    const { excluded, forRoom } = circumstances;
    const { hold } = this.#policy;
    let view = this.fleet.view(request.model, request.promptTokens, key, startMs, excluded);
    let full =
      forRoom && hold !== null && hold.utilization === null
        ? this.#slotsWithoutRoom(view, request, circumstances)
        : noneFull;
    // Where priorities share the fleet a policy that holds by its pick leaves full endpoints out; else it is obeyed until
    // none has room.
    const choosy = hold !== null && hold.maxPrefillBacklogSeconds !== null && this.#headroom.isShared(startMs);
    if (full.length > 0 && full.length === decodingCount(view)) {
      return { startMs, seed, view, result: notScheduled, choice: null, full };
    }
    if (!choosy) full = noneFull;
    if (full.length > 0) view = view.without(full.map(({ slot }) => slot));
    foresee(view, circumstances);
    const probe = this.#looks++ % probedEvery === 0 ? this.#probe : null;
    const result = schedule(this.#policy, this.#states, request, view, seed, probe);
    return { startMs, seed, view, result, choice: choiceOf(view, result), full };
  }

  /** Endpoints whose KV cache has no room for the request, the one with most room first. */
  #slotsWithoutRoom(
    view: FleetView,
    { promptTokens, caller = anyCaller }: SchedulingRequest,
    { reserved, recalled }: Circumstances,
  ): readonly Room[] {
    const { kvCapacityTokens } = this.fleet;
    const kept = this.#headroom.tokensFor(caller.priority, view.eligible.length, view.nowMs);
    let full: Room[] | null = null;
    for (const slot of view.eligible) {
      const others = (recalled.get(slot)?.kvTokens ?? 0) - (reserved.get(slot)?.kvTokens ?? 0);
      const roomTokens = kvRoomTokens(view, slot, kvCapacityTokens[slot]!, kept) + others;
      // Where only prompts are computed there is always room, and never for the answer.
      if (roomTokens < promptTokens && decodes(view, slot)) (full ??= []).push({ slot, roomTokens });
    }
    return full?.sort((left, right) => right.roomTokens - left.roomTokens) ?? noneFull;
  }

  #record(
    { startMs, seed, view, result, choice, full }: Look,
    request: SchedulingRequest,
    key: PrefixKey,
    heldSinceMs: number | null,
    ahead: Decision['admission']['ahead'] = null,
    rejection: { readonly shed: ShedReason; readonly message: string } | null = null,
  ): Decision {
    const queuedSeconds = heldSinceMs === null ? 0 : Math.max(0, startMs - heldSinceMs) / 1000;
    return recordDecision(this.#policy, request, view, result, {
      id: `${this.#ids.prefix}-${this.#ids.next().toString(36)}`,
      epochMs: this.clock.epochMs(),
      seed,
      queuedSeconds,
      caller: request.caller ?? anyCaller,
      ahead,
      rejection,
      leftOut: full.length === 0 ? noneLeftOut : full.flatMap(({ slot }) => this.fleet.endpointAt(slot)?.name ?? []),
      schedulerSeconds: (this.clock.nowMs() - startMs) / 1000,
      prefixBlocks: prefixBlocksOf(key, request.promptTokens),
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
    const view = this.fleet.view(request.model, request.promptTokens, key, this.clock.nowMs(), tried);
    return choiceOf(view, schedule(policy, states, request, view, this.#random.below(2 ** 32)));
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

  #refusal(model: string, { view, result }: Look): SignalboxError {
    const { fleet } = this;
    const retry = { retryAfterSeconds: 1 };
    if (fleet.slots.length === 0) return new SignalboxError('no_endpoint', 'No endpoint is known yet.', retry);
    if (!fleet.anyReady) {
      const message = `None of the ${fleet.slots.length} endpoints is ready: they are starting, or do not answer.`;
      return new SignalboxError('no_endpoint', message, retry);
    }
    if (view.eligible.length > 0) {
      const reasons = result.profiles.flatMap(({ filters }) => filters.flatMap(({ dropped }) => dropped));
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

function idsFrom(random: Random): DecisionIds {
  const prefix = random
    .below(2 ** 32)
    .toString(36)
    .padStart(7, '0');
  let decisions = 0;
  return { prefix, next: () => ++decisions };
}

/** Whether its turn would come too late for what it asked for. */
function tooLate({ caller, prefillSeconds }: Asking, aheadSeconds: number): TurnedAway | null {
  const target = caller.ttftTargetSeconds;
  const seconds = aheadSeconds + prefillSeconds;
  return target !== null && seconds > target ? cannotBeMet('too-late', target, seconds) : null;
}

/** The view as it will be once those in front have come, and what makes room has gone. */
function foresee({ queuedPrefillSeconds }: FleetView, { reserved, recalled }: Circumstances): void {
  for (const [slot, { prefillSeconds }] of reserved) queuedPrefillSeconds[slot]! += prefillSeconds;
  for (const [slot, { prefillSeconds }] of recalled) {
    queuedPrefillSeconds[slot] = Math.max(0, queuedPrefillSeconds[slot]! - prefillSeconds);
  }
}

/** Service is counted in input tokens, and an output token as so many (VTC, OSDI '24). */
const outputTokenWeight = 2;

function chargeOf({ promptTokens, predicted }: Decision): number {
  return promptTokens - predicted.cachedTokens;
}

function missed({ request }: Asked, waitedSeconds: number): TurnedAway {
  const { caller = anyCaller, timeoutSeconds = Infinity } = request;
  if (waitedSeconds >= timeoutSeconds) return clientWaitsNoLonger(timeoutSeconds);
  return cannotBeMet('missed', caller.ttftTargetSeconds ?? 0, waitedSeconds);
}

function endedUnplaced(status: number): NonNullable<Decision['outcome']> {
  return { status, endpoint: null, cachedTokens: null, ttftSeconds: null, e2eSeconds: null, completionTokens: null };
}

/** It waits for room there. */
function fullWait({ slot }: Room, { promptTokens }: SchedulingRequest): Wait {
  return { slot, what: 'kv-cache', seconds: lookAgainSeconds, prefillSeconds: 0, kvTokens: promptTokens };
}

function decodingCount(view: FleetView): number {
  let count = 0;
  for (const slot of view.eligible) if (decodes(view, slot)) count += 1;
  return count;
}
