import { randomUUID } from 'node:crypto';
import { bodyTooLarge, noRoomForBody, type BodyPart, type BodyRoom } from '../api/body-room.ts';
import { credentialNames, isControl, saneRequestId } from '../api/control-headers.ts';
import { rankHeader } from '../api/data-parallel-rank.ts';
import { asSignalboxError, errorResponse } from '../api/errors.ts';
import type { ParsedRequest } from '../api/request.ts';
import { byteSlabs } from '../base/byte-slabs.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { noteReport, prefillHeaders } from '../disaggregation/prefill-headers.ts';
import { droppedReason } from '../compat/llm-d-flow-control.ts';
import type { Flight } from '../dispatch/flight.ts';
import { decisionHeaders, finishFlight, kindOf, questionOf, readRequest, withTokens } from '../door/question.ts';
import type { Core } from '../door/core.ts';
import type { RequestTrace } from '../door/traces.ts';
import type { KeyUse } from '../keys/key.ts';
import type { PrefixKey, PromptIds } from '../fleet/prefix-index/prefix-key.ts';
import type { Decision } from '../scheduler/decision.ts';
import { AnswerWatch } from './answer-watch.ts';
import { excludedBy, selectionHeader, subsetName, subsetNamespace, subsetOf } from './candidates.ts';
import { destinationOf } from './destination.ts';
import type { Call, CallHandler } from './grpc-server.ts';
import type { Pools } from './pools.ts';
import { GrpcError } from './wire/grpc-frames.ts';
import {
  bodyResponse,
  destinationName,
  destinationNamespace,
  fullDuplexStreamed,
  immediateResponse,
  readProcessingRequest,
  requestHeadersResponse,
  responseHeadersResponse,
  servedName,
  trailersResponse,
  type HeaderMap,
  type ProcessingRequest,
} from './wire/ext-proc.ts';

interface ExchangeOptions {
  readonly pools: Pools;
  readonly log: Logger;
  readonly bodies: BodyRoom;
  readonly maxBodyBytes: number;
  /** How many addresses are named after the one picked. */
  readonly fallbacks: number;
  /** Whether the conformance tests' header may choose the endpoint: whoever sends it steers. */
  readonly conformance: boolean;
  /** Whether what the next streamed answer says is read. */
  readonly observeNextStream: () => boolean;
}

/** Envoy takes no chunk of a streamed body above 64 KiB. */
const largestChunkBytes = 62_000;
const servedHeader = 'x-conformance-test-served-endpoint';
const droppedReasonHeader = 'x-llm-d-request-dropped-reason';

/** As llm-d's EPP words them. */
const droppedReasons: Readonly<Record<string, string>> = {
  saturated: 'rejected-saturated',
  no_endpoint: 'rejected-no-endpoints',
};

/** Envoy sets it on what came from an endpoint, and not on answers of its own. */
const upstreamTimeHeader = 'x-envoy-upstream-service-time';

const noHeaders: HeaderMap = {};
const noBytes = Buffer.alloc(0);
/** So much is set aside for a body that says how long it is, before it has come. */
const mostAheadBytes = 1024 * 1024;
/** Smaller bodies are cut from Node's own pool. */
const leastSlabBytes = 2048;

/** A request that has its endpoint. */
interface Placed {
  readonly flight: Flight;
  readonly parsed: ParsedRequest;
  readonly key: PrefixKey;
  /** False for a streamed answer of which nothing need be read. */
  readonly observed: boolean;
}

/** One HTTP request's way through the endpoint picker: a stream of ext_proc (endpoint-picker protocol 1.0). */
export class Exchange implements CallHandler {
  readonly #call: Call;
  readonly #options: ExchangeOptions;
  #headers: HeaderMap = noHeaders;
  #requestId = '';
  #subset: readonly string[] | null = null;
  /** The request's body as far as it has come, and room for what is expected. */
  #kept: Buffer = noBytes;
  #bytes = 0;
  readonly #part: BodyPart;
  /** Headers alone, a body, or a body with trailers after it; null until all of it has come. */
  #shape: 'headers' | 'body' | 'trailers' | null = null;
  #cancel: (() => void) | null = null;
  #placed: Placed | null = null;
  #answer: AnswerWatch | null = null;
  #answerEnded = false;
  /** False when the data plane does not send the answer's body, by its configuration or because we asked. */
  #seesBody = true;
  #finished = false;
  #isClosed = false;
  #use: KeyUse | null = null;
  #trace: RequestTrace | null = null;

  /** Whose request it is: as the data plane says, else known once its model is. */
  #pool: Core;
  readonly #told: string | null;

  /** `told`: name of the pool that the data plane says; null where it says none. */
  constructor(call: Call, told: string | null, options: ExchangeOptions) {
    this.#call = call;
    this.#options = options;
    this.#part = options.bodies.part();
    this.#told = told;
    this.#pool = options.pools.first;
  }

  message(message: Buffer): void {
    const request = readProcessingRequest(message);
    const { event, bodyModes } = request;
    if (bodyModes !== null) this.#checkModes(bodyModes);
    switch (event?.type) {
      case 'request-headers':
        this.#begin(event.headers, request);
        if (event.ends) this.#ask('headers');
        break;
      case 'request-body':
        this.#requestBody(event.body, event.ends);
        break;
      case 'request-trailers':
        this.#ask('trailers');
        break;
      case 'response-headers':
        this.#answerHeaders(event.headers, event.ends, request);
        break;
      case 'response-body':
        this.#answerBody(event.body, event.ends);
        break;
      case 'response-trailers':
        this.#call.send(...trailersResponse('response'));
        this.#answerEnds();
        break;
      case undefined:
        break;
    }
  }

  halfClosed(): void {
    this.#call.end();
  }

  closed(): void {
    this.#isClosed = true;
    this.#part.free();
    this.#cancel?.();
    if (this.#answer !== null && !this.#seesBody) this.#answerEnds();
    else this.#finish(499, false, 'the client or its endpoint left before the end');
    this.#use?.ended();
    this.#trace?.ended(499, null);
  }

  #checkModes({ request, response }: { readonly request: number; readonly response: number }): void {
    this.#seesBody = response !== 0;
    if (request === fullDuplexStreamed && (response === fullDuplexStreamed || response === 0)) return;
    const message = 'processing_mode must have request_body_mode and response_body_mode FULL_DUPLEX_STREAMED';
    this.#options.log.error(message);
    throw new GrpcError('failedPrecondition', message);
  }

  #begin(headers: HeaderMap, request: ProcessingRequest): void {
    if (this.#told !== null) this.#pool = this.#options.pools.named(this.#told);
    this.#headers = headers;
    this.#requestId = saneRequestId(headers) ?? randomUUID();
    this.#subset = subsetOf(request.metadata(subsetNamespace, subsetName));
    const path = (headers[':path'] ?? '/').replace(/\?.*$/s, '');
    this.#trace = this.#pool.traces?.begin(this.#requestId, path, headers) ?? null;
  }

  #requestBody(body: Buffer, ends: boolean): void {
    // Envoy may send the end of a large body twice; after a refusal nothing more counts.
    if (this.#shape !== null) return;
    if (this.#bytes + body.length > this.#options.maxBodyBytes) {
      return this.#refuseBody(bodyTooLarge(this.#options.maxBodyBytes));
    }
    if (!this.#part.take(body.length)) return this.#refuseBody(noRoomForBody(this.#options.bodies.limitBytes));
    this.#keep(body);
    if (ends) this.#ask('body');
  }

  #keep(body: Buffer): void {
    if (this.#bytes === 0 && byteSlabs.owns(body)) {
      // Most bodies are one message, which lies in memory of its own already.
      byteSlabs.handOver(body);
      this.#kept = body;
      this.#bytes = body.length;
      return;
    }
    const bytes = this.#bytes + body.length;
    if (bytes > this.#kept.length) {
      const expected = Math.min(Number(this.#headers['content-length'] ?? 0) || 0, mostAheadBytes);
      const wanted = Math.max(expected, this.#bytes === 0 ? bytes : 2 * bytes);
      const room = wanted < leastSlabBytes ? Buffer.allocUnsafe(wanted) : byteSlabs.take(wanted);
      this.#kept.copy(room, 0, 0, this.#bytes);
      byteSlabs.giveBack(this.#kept);
      this.#kept = room;
    }
    body.copy(this.#kept, this.#bytes);
    this.#bytes = bytes;
  }

  #refuseBody(error: SignalboxError): void {
    this.#shape = 'body';
    this.#kept = noBytes;
    this.#part.free();
    this.#refuse(error, null);
  }

  /** The request is here whole. */
  #ask(shape: 'headers' | 'body' | 'trailers'): void {
    if (this.#shape !== null) return;
    this.#shape = shape;
    try {
      const body = this.#kept.subarray(0, this.#bytes);
      const headers = this.#headers;
      const path = (headers[':path'] ?? '/').replace(/\?.*$/s, '');
      const kind = kindOf(path);
      const method = headers[':method'] ?? 'GET';
      if (kind !== 'other' && method !== 'POST') {
        throw new SignalboxError('method_not_allowed', `${path} takes POST, not ${method}.`);
      }
      const parsed = readRequest(path, body, headers, { rewritten: (each) => this.#rewritten(each) });
      const goOn = (use: KeyUse | null): void => {
        this.#use = use;
        if (this.#isClosed) use?.ended();
        withTokens(parsed, this.#pool.tokens, (ids) => this.#askPlace(parsed, ids));
      };
      // A key's limits are one for all pools.
      const { keys } = this.#options.pools.first;
      if (keys === null) goOn(null);
      else keys.begin(headers, goOn, (error) => this.#refuse(asSignalboxError(error), null));
    } catch (error) {
      this.#refuse(asSignalboxError(error), null);
    }
  }

  #rewritten(parsed: ParsedRequest): ParsedRequest {
    if (this.#told === null) this.#pool = this.#options.pools.serving(parsed.model);
    return this.#pool.objects.rewritten(parsed);
  }

  #askPlace(parsed: ParsedRequest, ids: PromptIds | null): void {
    // Its client may have left while its tokens were counted.
    if (this.#isClosed) return;
    const { dispatch, sessions, objects } = this.#pool;
    const headers = this.#headers;
    try {
      const { request, key } = questionOf(
        parsed,
        this.#requestId,
        headers,
        dispatch.fleet,
        sessions,
        objects,
        ids,
        this.#use?.key,
      );
      this.#use?.ask(request.model, request.promptTokens, request.maxOutputTokens, dispatch.clock.nowMs());
      const tested = this.#options.conformance ? headers[selectionHeader] : undefined;
      const excluded = excludedBy([this.#subset, tested === undefined ? null : subsetOf(tested)], dispatch.fleet);
      const handlers = {
        placed: (flight: Flight) => {
          const observed = !parsed.streaming || this.#options.observeNextStream();
          this.#place({ flight, parsed, key, observed });
        },
        refused: (error: SignalboxError, decision: Decision | null) => this.#refuse(error, decision),
      };
      const ticket = dispatch.place(request, key, handlers, excluded);
      this.#cancel = () => {
        if (ticket.cancel()) this.#use?.refused(dispatch.clock.nowMs());
      };
    } catch (error) {
      this.#refuse(asSignalboxError(error), null);
    }
  }

  #place(placed: Placed): void {
    this.#placed = placed;
    const { flight, parsed } = placed;
    const { body } = parsed;
    const { endpoint } = flight;
    const { fleet } = this.#pool;
    const takesIts = (name: string): boolean => fleet.endpointNamed(name)?.rank === endpoint.rank;
    const set: Record<string, string> & { [destinationName]: string } = {
      [destinationName]: destinationOf(flight.decision, endpoint.address, this.#options.fallbacks, takesIts),
      ...this.#trace?.placed(flight.decision),
      ...prefillHeaders(flight.prefill),
    };
    if (endpoint.rank !== undefined) set[rankHeader] = String(endpoint.rank);
    if (this.#headers['x-request-id'] !== this.#requestId) set['x-request-id'] = this.#requestId;
    if (this.#shape !== 'headers') set['content-length'] = String(body.length);
    this.#call.send(...requestHeadersResponse({ set, remove: this.#removed(set) }, !placed.observed));
    if (this.#shape !== 'headers') this.#sendBody('request', body, this.#shape === 'body');
    if (this.#shape === 'trailers') this.#call.send(...trailersResponse('request'));
  }

  /** What of the request's headers its engine is not to see. */
  #removed(set: Readonly<Record<string, string>>): string[] {
    const removed: string[] = [];
    for (const name in this.#headers) {
      // Answers must be readable on their way, for usage and errors.
      const isOurs = name === 'accept-encoding' || name === selectionHeader;
      if (isOurs || (isControl(name) && !(name in set))) removed.push(name);
    }
    if (this.#use !== null) removed.push(...credentialNames.filter((name) => name in this.#headers));
    return removed;
  }

  /** A body in chunks that Envoy takes; an empty one is one empty chunk. */
  #sendBody(side: 'request' | 'response', body: Buffer, ends: boolean): void {
    let at = 0;
    do {
      const next = Math.min(at + largestChunkBytes, body.length);
      this.#call.send(...bodyResponse(side, body.subarray(at, next), ends && next === body.length));
      at = next;
    } while (at < body.length);
  }

  #refuse(error: SignalboxError, decision: Decision | null): void {
    this.#pool.metrics.refused(error.code);
    this.#use?.refused(this.#pool.dispatch.clock.nowMs());
    this.#trace?.ended(error.status, decision);
    if (error.code === 'internal') this.#options.log.error({ err: error.cause }, error.message);
    const { status, headers, body } = errorResponse(error);
    const own = { ...headers };
    delete own['content-length']; // Envoy sets it
    const reason = droppedReason(decision?.admission.shed ?? null) ?? droppedReasons[error.code];
    if (reason !== undefined) own[droppedReasonHeader] = reason;
    if (decision !== null) own['x-signalbox-decision'] = decision.id;
    own['x-request-id'] = this.#requestId;
    this.#call.send(...immediateResponse(status, own, body, `signalbox_${error.code}`));
  }

  #answerHeaders(headers: HeaderMap, ends: boolean, request: ProcessingRequest): void {
    const placed = this.#placed;
    if (placed === null) {
      // Another filter's own answer passes by.
      this.#call.send(...responseHeadersResponse({ set: {} }));
      return;
    }
    const { flight, parsed, observed } = placed;
    const { sessions } = this.#pool;
    noteReport(flight.prefill, headers);
    const served = request.metadata(destinationNamespace, servedName);
    if (typeof served === 'string') this.#servedBy(served, flight);
    const status = Number(headers[':status'] ?? 0);
    const { name } = flight.endpoint;
    this.#judge(name, status, headers);
    const type = headers['content-type'] ?? '';
    this.#answer = new AnswerWatch(status, observed ? type : null, parsed.continuable);
    const set: Record<string, string> = {
      'x-request-id': this.#requestId,
      ...decisionHeaders(flight, name),
      ...sessions.answered(this.#headers, name),
    };
    const { conformance } = this.#options;
    if (conformance && typeof served === 'string' && selectionHeader in this.#headers) set[servedHeader] = served;
    const remove = Object.keys(headers).filter((header) => isControl(header) && !(header in set));
    this.#call.send(...responseHeadersResponse({ set, remove }));
    if (!observed) {
      flight.begunUnseen(status);
      this.#seesBody = false;
    }
    if (ends) this.#answerEnds();
  }

  #answerBody(body: Buffer, ends: boolean): void {
    if (this.#answerEnded) return;
    // A data plane need not heed our wish to be spared the body.
    this.#seesBody = true;
    this.#sendBody('response', body, ends);
    const answer = this.#answer;
    if (answer !== null && body.length > 0 && answer.push(body)) this.#placed?.flight.firstToken(answer.status);
    if (ends) this.#answerEnds();
  }

  #answerEnds(): void {
    if (this.#answerEnded || this.#answer === null) return;
    this.#answerEnded = true;
    const { status, errorStatus } = this.#answer;
    if (this.#seesBody) this.#placed?.flight.firstToken(status);
    if (errorStatus === null) this.#finish(status, status < 400);
    else this.#finish(errorStatus, false, 'an error in mid-answer');
  }

  #finish(status: number, complete: boolean, reason?: string): void {
    const placed = this.#placed;
    if (this.#finished || placed === null) return;
    this.#finished = true;
    const report = this.#answer?.report() ?? AnswerWatch.nothing;
    const ending = { status, complete, ...report, ...(reason === undefined ? {} : { reason }) };
    finishFlight(placed.flight, placed.parsed, placed.key, this.#pool.fleet, ending);
    this.#use?.answered(ending, this.#pool.dispatch.clock.nowMs());
    this.#pool.metrics.requests.sizes(placed.flight.decision, placed.parsed.body.length, null);
    this.#trace?.ended(status, placed.flight.decision);
    // Nobody reads them any more.
    byteSlabs.giveBack(placed.parsed.prompt.bytes);
    byteSlabs.giveBack(placed.parsed.body);
    byteSlabs.giveBack(this.#kept);
    this.#kept = noBytes;
  }

  /** Who answered in the end, after the data plane's own retries. */
  #servedBy(address: string, flight: Flight): void {
    if (address === flight.endpoint.address) return;
    const { fleet } = this.#pool;
    const isThat = (each: number): boolean => {
      const endpoint = fleet.endpointAt(each)!;
      return endpoint.address === address && endpoint.rank === flight.endpoint.rank;
    };
    const slot = fleet.slots.find(isThat);
    if (slot !== undefined) flight.moved(slot);
  }

  /** What the status of an answer's head says of who gave it; an error may be the data plane's own. */
  #judge(name: string, status: number, headers: HeaderMap): void {
    if (status < 500 && status !== 429) return;
    const { fleet, clock } = this.#pool.dispatch;
    const slot = fleet.slots.find((each) => fleet.endpointAt(each)!.name === name);
    if (slot === undefined) return;
    if (!(upstreamTimeHeader in headers)) fleet.suspect(slot);
    else if (status === 429 || status === 503) fleet.busy(slot, clock.nowMs());
    else fleet.failed(slot, 'server-error', clock.nowMs());
  }
}
