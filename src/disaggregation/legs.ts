import { askedRank, askingForRank } from '../api/data-parallel-rank.ts';
import type { Sender, UpstreamCall, UpstreamHandler, UpstreamRequest } from '../proxy/upstream.ts';
import type { Connector, Handover, Target } from './connector.ts';
import { type PrefillFailure, PrefillCall } from './prefill-call.ts';
import { hasPrompt } from './prompt-only.ts';

/** Where the prompt of one request is computed, and who hears how that goes. */
export interface PrefillLeg {
  /** Where to compute it; null when it is to be done where it is decoded. */
  readonly endpoint: Target | null;
  /** How long its answer may take. */
  readonly patienceMs: number;
  /** Whether it is known that no answer will come. */
  readonly isGone: boolean;
  /** The prompt was computed; `cachedTokens` of it were there already, null when not said. */
  answered(status: number, cachedTokens: number | null): void;
  /** It was not: where to try next, null when it is to be done where it is decoded. */
  failed(status: number | null, failure: PrefillFailure, reason: string): Target | null;
}

interface LegsOptions {
  readonly connector: Connector;
  readonly prefill: Sender;
  readonly decode: Sender;
  /** The prefill leg of the attempt that is being sent; null when the request is not split. */
  readonly leg: () => PrefillLeg | null;
}

/** Sends a request to two endpoints as if it were one: whoever sends by it sees the decode engine's answer. */
export function bothLegs(options: LegsOptions): Sender {
  return {
    send(address, request, handler) {
      const leg = options.leg();
      const endpoint = leg?.endpoint ?? null;
      if (leg === null || endpoint === null || request.body === null || !hasPrompt(request.path)) {
        return options.decode.send(address, request, handler);
      }
      const legs = new Legs(options, leg, address, request, handler);
      legs.start(endpoint);
      return legs;
    },
  };
}

/** One request on its two ways. */
class Legs implements UpstreamCall {
  readonly #options: LegsOptions;
  readonly #leg: PrefillLeg;
  readonly #address: string;
  readonly #request: UpstreamRequest;
  /** The rank that decode is asked for; prefill has its own. */
  readonly #rank: number | undefined;
  readonly #handler: UpstreamHandler;
  #prefill: PrefillCall | null = null;
  #decode: UpstreamCall | null = null;
  /** Decode has begun to answer: what comes of prefill changes nothing any more. */
  #answering = false;
  #paused = false;
  #over = false;

  constructor(
    options: LegsOptions,
    leg: PrefillLeg,
    address: string,
    request: UpstreamRequest,
    handler: UpstreamHandler,
  ) {
    this.#options = options;
    this.#leg = leg;
    this.#address = address;
    this.#request = askingForRank(request, undefined);
    this.#rank = askedRank(request.headers);
    this.#handler = handler;
  }

  start(target: Target): void {
    const prepared = (async (): Promise<Handover> => this.#options.connector.handover(this.#request, target))();
    prepared.then(
      (handover) => this.#send(target, handover),
      (error: unknown) => this.#failed(null, 'server-error', error instanceof Error ? error.message : String(error)),
    );
  }

  abort(): void {
    this.#over = true;
    this.#prefill?.abort();
    this.#decode?.abort();
  }

  pause(): void {
    this.#paused = true;
    this.#decode?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#decode?.resume();
  }

  #send(target: Target, handover: Handover): void {
    if (this.#over) return;
    const { connector, prefill } = this.#options;
    const { rank } = target;
    const request = rank === undefined ? handover.prefill : askingForRank(handover.prefill, rank);
    this.#prefill = new PrefillCall(prefill, target.address, request, this.#leg, {
      answered: (status, answer, cachedTokens) => {
        this.#prefill = null;
        this.#leg.answered(status, cachedTokens);
        if (!connector.together) this.#sendDecode(handover.decode(answer) ?? this.#request);
      },
      failed: (status, failure, reason) => {
        this.#prefill = null;
        if (!this.#answering) this.#failed(status, failure, reason);
      },
    });
    // Nobody waits for a first answer: the engines find each other.
    if (connector.together) this.#sendDecode(handover.decode(Buffer.alloc(0)) ?? this.#request);
  }

  #failed(status: number | null, failure: PrefillFailure, reason: string): void {
    if (this.#over) return;
    // A decode that waits for this prefill waits in vain.
    this.#decode?.abort();
    this.#decode = null;
    const next = this.#leg.failed(status, failure, reason);
    if (next !== null) this.start(next);
    else this.#sendDecode(this.#request);
  }

  #sendDecode(request: UpstreamRequest): void {
    if (this.#over) return;
    const handler = this.#handler;
    const call: UpstreamCall = this.#options.decode.send(this.#address, askingForRank(request, this.#rank), {
      head: (status, headers) => {
        this.#answering = true;
        handler.head(status, headers);
      },
      data: (chunk) => handler.data(chunk),
      end: () => {
        this.#over = true;
        this.#prefill?.abort();
        handler.end();
      },
      failed: (failure, reason) => {
        this.#over = true;
        this.#prefill?.abort();
        handler.failed(failure, reason);
      },
    });
    this.#decode = call;
    if (this.#paused) call.pause();
  }
}
