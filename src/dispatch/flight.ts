import type { BlockHashes } from '../base/block-hash.ts';
import type { Clock } from '../base/clock.ts';
import type { Choice } from './choice.ts';
import type { Freed } from './holding.ts';
import { PrefillFlight } from './prefill-flight.ts';
import type { Fleet, Placement } from '../fleet/fleet.ts';
import type { Failure } from '../fleet/health.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import type { Journal } from '../journal/journal.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { Endpoint } from '../scheduler/endpoint.ts';
import type { Outcome } from '../scheduler/plugin.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import { patienceMs } from './patience.ts';
import type { Sent } from './recalls.ts';
import type { RetryBudget } from './retry-budget.ts';

/** Why an attempt came to nothing. `busy` and `local` say nothing against the endpoint. */
type AttemptFailure = Failure | 'busy' | 'local';

/** What the door saw in the end; null where it did not see. */
interface Ending {
  /** HTTP status the client got; 499 when it left. */
  readonly status: number;
  /** True when an endpoint's answer reached its end. */
  readonly complete: boolean;
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  readonly completionTokens: number | null;
  /** The blocks that the answer adds to the prompt's, for the conversation's next turn. */
  readonly answer?: BlockHashes | null;
  /** In a few words, when something went wrong. */
  readonly reason?: string;
}

interface FlightContext {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly clock: Clock;
  pickAnother(tried: readonly number[]): Choice | null;
  readonly retries: RetryBudget;
  finished(outcome: Outcome): void;
  /** Something of its answer is about to reach the client. */
  answering(): void;
  /** An endpoint has less to do than before. */
  freed(what: Freed): void;
}

/** Attempts in a row from which nothing reached the client: what kills an engine must not go round all of them. */
const fruitlessLimit = 5;
const attemptLimit = 20;
/** Shorter silences say nothing of an endpoint. */
const suspiciousMs = 500;
/** An endpoint that is no longer listed gets no more than this: it may have been told to stop. */
const unlistedPatienceMs = 3000;

/** A placed request on its way: its attempts, one after another, until it finishes. */
export class Flight {
  readonly decision: Decision;
  readonly #request: SchedulingRequest;
  readonly #key: PrefixKey;
  readonly #context: FlightContext;
  readonly #startedAtMs: number;
  /** Where it was tried since something last reached the client. */
  #tried: readonly number[] = [];
  #fruitless = 0;
  /** Tokens of the answer that the client had when an attempt broke. */
  #saidTokens = 0;
  #endpoint: Endpoint;
  #placement: Placement;
  #prefill: PrefillFlight | null = null;
  #firstTokenAtMs: number | null = null;
  /** Whether the current attempt has begun to answer. */
  #answering = false;
  /** The head of the answer that began; what came of it stands in the ending. */
  #answeredStatus: number | null = null;
  #finished = false;
  /** Taken back, and not placed again yet: it is counted nowhere. */
  #waits = false;
  /** How often it was taken back. */
  recalls = 0;
  /** How it can be taken back; null once it cannot. */
  sent: Sent | null = null;

  constructor(decision: Decision, request: SchedulingRequest, key: PrefixKey, choice: Choice, context: FlightContext) {
    this.decision = decision;
    this.#request = request;
    this.#key = key;
    this.#context = context;
    this.#startedAtMs = context.clock.nowMs() - decision.admission.queuedSeconds * 1000;
    this.#endpoint = context.fleet.endpointAt(choice.slot)!;
    this.#placement = this.#attempt(choice, 'picked');
  }

  /** Where the current attempt goes. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** What it keeps its endpoint from, until it begins to be answered. */
  get unanswered(): { readonly slot: number; readonly prefillSeconds: number; readonly kvTokens: number } {
    const { fleet, clock } = this.#context;
    const { slot, entry } = this.#placement;
    const prefillSeconds = fleet.prefillLeftSeconds(this.#placement, clock.nowMs());
    return { slot, prefillSeconds, kvTokens: entry.promptTokens };
  }

  /** Its front door has stopped what was sent: it makes room for others, and waits. */
  takeBack(): void {
    this.#mark(null, 'taken back for a higher priority');
    this.#prefill?.abandon('taken back');
    this.#context.fleet.withdraw(this.#placement, this.#context.clock.nowMs());
    this.#waits = true;
    this.recalls += 1;
  }

  /** Its turn has come again. */
  placeAgain(choice: Choice): void {
    this.#waits = false;
    this.#tried = [];
    this.#endpoint = this.#context.fleet.endpointAt(choice.slot)!;
    this.#placement = this.#attempt(choice, 'placed again');
  }

  /** Whether the current endpoint's engine knows how to go on with a chat's last message. */
  get continuesChats(): boolean {
    return this.#context.fleet.continuesChats(this.#placement.slot);
  }

  /** Where the current attempt's prompt is computed apart; null where it is not split. */
  get prefill(): PrefillFlight | null {
    return this.#prefill;
  }

  /**
   * The current attempt came to nothing, or broke after `saidTokens` of its answer had reached the client. Gives another
   * endpoint, counted, or null when none is left. Each is tried once, and again when more has reached the client since;
   * one whose only fault is a lost connection gets a second try when alone.
   */
  retry(status: number | null, failure: AttemptFailure, reason: string, saidTokens = 0): Endpoint | null {
    const { fleet, clock, retries } = this.#context;
    const { slot } = this.#placement;
    this.#mark(status ?? (this.#answering ? 502 : null), reason);
    this.#prefill?.abandon('decode failed');
    if (this.#answering && this.#request.streaming) fleet.ledger.close(this.#placement.entry, clock.nowMs());
    else fleet.withdraw(this.#placement, clock.nowMs());
    this.#answering = false;
    this.#context.freed('all');
    if (failure === 'busy') fleet.busy(slot, clock.nowMs());
    else if (failure !== 'local' && (!this.#isTooLate || failure !== 'timeout')) {
      fleet.failed(slot, failure, clock.nowMs());
    }
    if (this.#isTooLate || failure === 'local') return null;
    this.#fruitless += 1;
    if (saidTokens > this.#saidTokens) {
      this.#saidTokens = saidTokens;
      this.#fruitless = 0;
      this.#tried = [slot];
    }
    if (this.#fruitless >= fruitlessLimit || this.decision.attempts.length >= attemptLimit) return null;
    let next = this.#context.pickAnother(this.#tried);
    if (next === null && failure === 'reset' && fleet.isReady(slot) && this.#fruitless <= 1) {
      next = this.#context.pickAnother([]);
    }
    // A connection that never was cost no engine anything.
    if (next === null || (failure !== 'connect' && !retries.take())) return null;
    retries.triedAgain(failure, saidTokens > 0);
    this.#endpoint = fleet.endpointAt(next.slot)!;
    this.#placement = this.#attempt(next, saidTokens > 0 ? 'went on' : 'retried');
    return this.#endpoint;
  }

  /**
   * Asked a few times a second while an answer is awaited, last heard of at `heardAtMs` (-Infinity: never): a reason to
   * give its endpoint up, null to wait.
   */
  looked(heardAtMs: number, silentMs: number): string | null {
    const { fleet } = this.#context;
    const { slot } = this.#placement;
    const isListed = fleet.isCurrent(this.#placement);
    if (isListed) fleet.heard(slot, heardAtMs);
    if (this.#isTooLate) return `no answer within the ${this.#request.timeoutSeconds} s that the client waits`;
    if (silentMs < suspiciousMs) return null;
    if (isListed && fleet.isGone(slot) && this.#isLost(slot)) return 'it does not answer';
    if (isListed) fleet.suspect(slot);
    if (silentMs - (this.#prefill?.explainsSilenceMs ?? 0) < suspiciousMs) return null;
    const limitMs = isListed ? this.#patienceMs() : unlistedPatienceMs;
    return silentMs - (this.#prefill?.explainsSilenceMs ?? 0) < limitMs
      ? null
      : `silent for ${Math.round(silentMs / 1000)} s`;
  }

  /** Whether to give up an endpoint that is gone. One that stands still may go on, and is waited for where no other is left. */
  #isLost(slot: number): boolean {
    const { fleet, clock } = this.#context;
    return (
      fleet.outage(slot, clock.nowMs())?.reason !== 'unresponsive' ||
      this.#context.pickAnother([...this.#tried, slot]) !== null
    );
  }

  /** The endpoint in `slot` answers, not the one picked: whoever sends the request tried elsewhere on its own. */
  moved(slot: number): void {
    const { fleet, clock } = this.#context;
    const left = this.#placement;
    const endpoint = fleet.endpointAt(slot);
    if (this.#finished || slot === left.slot || endpoint === undefined) return;
    this.#mark(null, 'did not answer');
    fleet.withdraw(left, clock.nowMs());
    fleet.suspect(left.slot);
    this.#endpoint = endpoint;
    this.#prefill?.abandon('decoded elsewhere');
    this.#placement = this.#attempt({ slot, cachedTokens: 0, prefill: [] }, 'tried instead');
    this.#context.freed('all');
  }

  /** The first byte of an answer's body (of a stream: its first event). */
  firstToken(status: number): void {
    if (this.#answering || this.#finished) return;
    const { fleet, clock, journal } = this.#context;
    const nowMs = clock.nowMs();
    this.#answering = true;
    this.#context.answering();
    this.#firstTokenAtMs ??= nowMs;
    this.#answeredStatus = status;
    this.#mark(status, this.#saidTokens > 0 ? 'went on' : 'answered');
    if (status >= 400) return;
    journal.answering(this.decision);
    fleet.succeeded(this.#placement.slot);
    // Nobody told of its end, which must have come before.
    this.#prefill?.answered(status, null, null);
    if (!this.#request.streaming) return;
    fleet.prefilled(this.#placement, nowMs);
    this.#context.freed('prefill');
  }

  /** An answer has begun of which nothing more will be seen: only elapsed time tells that the prompt was computed. */
  begunUnseen(status: number): void {
    if (this.#answeredStatus !== null || this.#finished) return;
    this.#answeredStatus = status;
    this.#mark(status, 'answered');
    if (status < 400) this.#context.fleet.succeeded(this.#placement.slot);
    this.#context.fleet.ledger.unseen(this.#placement.entry);
  }

  /** The request has ended. Called once; later calls do nothing. */
  finish(ending: Ending): void {
    if (this.#finished) return;
    this.#finished = true;
    const { fleet, clock, journal } = this.#context;
    const nowMs = clock.nowMs();
    const placement = this.#placement;
    this.#prefill?.abandon(ending.reason ?? 'the request ended');
    const answered = this.#answeredStatus !== null && this.#answeredStatus < 400;
    const complete = ending.complete && ending.status < 400;
    if (this.#waits) this.#waits = false;
    else if (complete) fleet.answered(placement, ending.completionTokens, ending.answer ?? null, nowMs);
    else if (this.#answering && this.#request.streaming) fleet.ledger.close(placement.entry, nowMs);
    else fleet.withdraw(placement, nowMs);

    if (complete && ending.cachedTokens !== null) {
      fleet.reported(placement, ending.cachedTokens, ending.promptTokens ?? this.#request.promptTokens);
    }
    if (answered && !complete && ending.status !== 499) fleet.suspect(placement.slot);

    const streamed = this.#request.streaming && this.#firstTokenAtMs !== null;
    if (complete && streamed && this.#saidTokens === 0 && ending.completionTokens !== null) {
      const seconds = (nowMs - this.#firstTokenAtMs!) / 1000;
      fleet.speed.observeOutput(placement.slot, ending.completionTokens, seconds);
    }
    if (ending.reason !== undefined) this.#mark(ending.status === 499 ? null : ending.status, ending.reason);
    const outcome = {
      status: ending.status,
      endpoint: this.#answeredStatus === null ? null : this.#endpoint.name,
      promptTokens: ending.promptTokens,
      cachedTokens: this.#prefill?.cachedTokens ?? ending.cachedTokens,
      ttftSeconds: streamed ? (this.#firstTokenAtMs! - this.#startedAtMs) / 1000 : null,
      e2eSeconds: complete ? (nowMs - this.#startedAtMs) / 1000 : null,
      completionTokens: ending.completionTokens,
    };
    this.decision.outcome = outcome;
    this.#context.finished(outcome);
    journal.ended(this.decision);
    this.#context.freed('all');
  }

  #attempt({ slot, cachedTokens, prefill }: Choice, reason: string): Placement {
    this.#tried = [...this.#tried, slot];
    const attempt = { endpoint: this.#endpoint.name, status: null, reason };
    this.decision.attempts = [...this.decision.attempts, attempt];
    const { fleet, clock } = this.#context;
    const freed = (): void => this.#context.freed('all');
    const { model, streaming, promptTokens } = this.#request;
    const request = { model, streaming, promptTokens: promptTokens + this.#saidTokens };
    const whole = (): Placement => fleet.place(request, this.#key, slot, cachedTokens, clock.nowMs());
    this.#prefill = null;
    // The rest of an answer that broke is short of what is known of its prompt elsewhere: it is asked for in one place.
    if (prefill.length === 0 || this.#saidTokens > 0) return whole();
    const toDecode = (): void => {
      fleet.withdraw(this.#placement, clock.nowMs());
      this.#placement = whole();
    };
    const context = { fleet, clock, toDecode, freed };
    this.#prefill = new PrefillFlight(this.decision, this.#request, this.#key, prefill, context);
    return fleet.placeDecode(request, this.#key, slot, cachedTokens, clock.nowMs());
  }

  /** Its client has gone, or goes now, for nothing has been answered in the time that it gave. */
  get #isTooLate(): boolean {
    const { timeoutSeconds } = this.#request;
    if (timeoutSeconds === undefined || this.#firstTokenAtMs !== null) return false;
    return this.#context.clock.nowMs() - this.#startedAtMs >= timeoutSeconds * 1000;
  }

  #patienceMs(): number {
    const { fleet, clock } = this.#context;
    const { slot, prefillCost } = this.#placement;
    const known = !Number.isNaN(fleet.speed.relative[slot]!);
    return patienceMs({
      streaming: this.#request.streaming,
      answering: this.#answering,
      prefillSeconds: known ? prefillCost * fleet.speed.slowness(slot, clock.nowMs()) : NaN,
      secondsPerOutputToken: fleet.speed.secondsPerOutputToken[slot]!,
      maxOutputTokens: this.#request.maxOutputTokens,
    });
  }

  #mark(status: number | null, reason: string): void {
    const attempt = this.decision.attempts.at(-1)!;
    attempt.status = status;
    attempt.reason = reason;
  }
}
