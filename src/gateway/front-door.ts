import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyRoom } from '../api/body-room.ts';
import { requestHeaders, saneRequestId } from '../api/control-headers.ts';
import { asSignalboxError } from '../api/errors.ts';
import type { ServedModel } from '../fleet/fleet.ts';
import { parseRequest, type ParsedRequest, type RequestKind } from '../api/request.ts';
import { bodyAskingForUsage } from '../api/stream-usage.ts';
import type { Logger } from '../base/log.ts';
import { byteSlabs } from '../base/byte-slabs.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { Connector } from '../disaggregation/connector.ts';
import { bothLegs } from '../disaggregation/legs.ts';
import { throughSidecar } from '../disaggregation/prefill-headers.ts';
import type { Flight } from '../dispatch/flight.ts';
import type { PrefillFlight } from '../dispatch/prefill-flight.ts';
import {
  decisionHeaders,
  finishFlight,
  kindOf,
  questionOf,
  readRequest,
  withTokens,
  type Question,
} from '../door/question.ts';
import type { InferenceObjects } from '../door/inference-objects.ts';
import type { DoorMetrics } from '../door/metrics.ts';
import type { Sessions } from '../door/sessions.ts';
import type { RequestTrace, Traces } from '../door/traces.ts';
import type { Key, KeyUse } from '../keys/key.ts';
import type { Keys } from '../keys/keys.ts';
import type { PrefixKey, PromptIds } from '../fleet/prefix-index/prefix-key.ts';
import type { PromptTokens } from '../fleet/tokens/prompt-tokens.ts';
import type { ClientResponse, Exchange, RequestHeaders } from '../proxy/exchange.ts';
import { NodeExchange } from '../proxy/node-exchange.ts';
import { relay, type Relayed, type RelayOptions, type Route } from '../proxy/relay.ts';
import { sendError, sendJson, type ExtraHeaders } from '../api/respond.ts';
import type { TransportFailure, Upstream } from '../proxy/upstream.ts';
import { FlightRoute } from './flight-route.ts';
import { WaitingComments } from './waiting-comments.ts';

interface FrontDoorOptions {
  readonly dispatch: Dispatch;
  readonly upstream: Upstream;
  /** How the gateway itself has a prompt's cache handed over; null where sidecars do that. */
  readonly connector: Connector | null;
  readonly sessions: Sessions;
  readonly tokens: PromptTokens;
  readonly objects: InferenceObjects;
  /** Who may send requests; null where everybody may. */
  readonly keys: Keys | null;
  readonly metrics: DoorMetrics;
  readonly traces: Traces | null;
  readonly log: Logger;
  readonly bodies: BodyRoom;
  readonly maxBodyBytes: number;
  /** Whether requests would be placed. */
  readonly ready: () => boolean;
  /** Whether streams that break are gone on with elsewhere. */
  readonly continuation: boolean;
}

/** The OpenAI-compatible HTTP door: routes, reads, asks dispatch, relays. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  #draining = false;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
  }

  /** From here on readiness is off; what still comes over connections that are open is served. */
  startDraining(): void {
    this.#draining = true;
  }

  get ready(): boolean {
    return !this.#draining && this.#options.ready();
  }

  /** What comes by a server of node:http, as the admin port has one: the operator's, who needs no key. */
  handle(incoming: IncomingMessage, response: ServerResponse): void {
    this.#route(new NodeExchange(incoming, response), null);
  }

  serve(exchange: Exchange): void {
    this.#route(exchange, this.#options.keys);
  }

  #route(exchange: Exchange, keys: Keys | null): void {
    const path = pathOf(exchange.target);
    const isGet = exchange.method === 'GET';
    try {
      if (path === '/healthz') sendJson(exchange, { status: 'ok' });
      else if (path === '/health' || path === '/readyz') this.#readiness(exchange);
      else if (!path.startsWith('/v1/')) throw unknownRoute(exchange.method, path);
      else if (isGet && /^\/v1\/models(\/|$)/.test(path)) this.#models(exchange, path.slice(11), keys);
      else this.#serve(exchange, path, keys);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** Reads a body as the door would and puts the scheduler's question, for those who only want to know. */
  question(
    kind: Exclude<RequestKind, 'other'>,
    body: Buffer,
    headers: RequestHeaders,
    answer: (question: Question) => void,
  ): void {
    const { dispatch, sessions, objects, tokens } = this.#options;
    const parsed = objects.rewritten(parseRequest(kind, body));
    withTokens(parsed, tokens, (ids) =>
      answer(questionOf(parsed, 'explain', headers, dispatch.fleet, sessions, objects, ids)),
    );
  }

  #serve(exchange: Exchange, path: string, keys: Keys | null): void {
    const requestId = saneRequestId(exchange.headers) ?? randomUUID();
    const extra = { 'x-request-id': requestId };
    const kind = kindOf(path);
    if (kind !== 'other' && exchange.method !== 'POST') {
      throw new SignalboxError('method_not_allowed', `${path} takes POST, not ${exchange.method}.`);
    }
    const trace = this.#options.traces?.begin(requestId, path, exchange.headers) ?? null;
    const refuse = (error: unknown): void => {
      this.#fail(exchange, error, extra);
      trace?.ended(asSignalboxError(error).status, null);
    };
    const read = (use: KeyUse | null): void => {
      const turnAway = (error: unknown): void => {
        use?.refused(this.#options.dispatch.clock.nowMs());
        refuse(error);
      };
      if (use !== null) exchange.onceLeft(() => use.ended());
      exchange.readBody(
        { limitBytes: this.#options.maxBodyBytes, room: this.#options.bodies },
        (body) => {
          try {
            const parsed = readRequest(path, body, exchange.headers, this.#options.objects);
            withTokens(parsed, this.#options.tokens, (ids) => {
              try {
                this.#place(exchange, parsed, requestId, ids, trace, use);
              } catch (error) {
                turnAway(error);
              }
            });
          } catch (error) {
            turnAway(error);
          }
        },
        turnAway,
      );
    };
    if (keys === null) read(null);
    else keys.begin(exchange.headers, read, refuse);
  }

  #place(
    exchange: Exchange,
    parsed: ParsedRequest,
    requestId: string,
    ids: PromptIds | null,
    trace: RequestTrace | null,
    use: KeyUse | null,
  ): void {
    const { dispatch, sessions, objects } = this.#options;
    const { fleet, clock } = dispatch;
    const whose = use?.key ?? null;
    const { request, key } = questionOf(parsed, requestId, exchange.headers, fleet, sessions, objects, ids, whose);
    const left = (): void => trace?.ended(499, null);
    if (exchange.destroyed) return left();
    use?.ask(request.model, request.promptTokens, request.maxOutputTokens, clock.nowMs());
    const comments = this.#commentsFor(exchange, parsed, requestId);
    let relayed: Relayed | null = null;
    const ticket = dispatch.place(request, key, {
      placed: (flight) => {
        const client = comments?.stop() ?? exchange;
        relayed = this.#relay(exchange, client, parsed, requestId, key, flight, trace, use);
      },
      refused: (error, decision) => {
        use?.refused(clock.nowMs());
        trace?.ended(error.status, decision);
        if (comments?.refused(error) === true) return this.#options.metrics.refused(error.code);
        const id = decision === null ? {} : { 'x-signalbox-decision': decision.id };
        this.#fail(exchange, error, { 'x-request-id': requestId, ...id });
      },
      takeBack: () => {
        if (relayed?.takeBack() !== true) return false;
        comments?.start(() => ticket.ahead());
        return true;
      },
    });
    comments?.start(() => ticket.ahead());
    exchange.onceLeft(() => {
      comments?.stop();
      if (!ticket.cancel()) return;
      use?.refused(clock.nowMs());
      left();
    });
  }

  /** Null where the answer is no stream, or nobody wants to be told while it waits. */
  #commentsFor(exchange: Exchange, { streaming }: ParsedRequest, requestId: string): WaitingComments | null {
    const asked = exchange.headers['x-signalbox-waiting'];
    const wanted = asked === undefined ? this.#options.dispatch.policy.hold?.waitingComments === true : asked === 'on';
    return streaming && wanted ? new WaitingComments(exchange, requestId) : null;
  }

  #relay(
    exchange: Exchange,
    client: ClientResponse,
    parsed: ParsedRequest,
    requestId: string,
    key: PrefixKey,
    flight: Flight,
    trace: RequestTrace | null,
    use: KeyUse | null,
  ): Relayed {
    const { upstream, sessions } = this.#options;
    const asking = bodyAskingForUsage(parsed);
    const body = asking ?? parsed.body;
    const { connector } = this.#options;
    const leg = (): PrefillFlight | null => flight.prefill;
    return relay({
      upstream:
        connector === null
          ? throughSidecar(upstream, leg)
          : bothLegs({ connector, prefill: upstream, decode: upstream, leg }),
      client,
      hideUsage: asking !== null,
      keepText: parsed.continuable,
      explainBreaks: true,
      continues: this.#continues(exchange, parsed),
      request: {
        method: exchange.method,
        path: exchange.target,
        headers: {
          ...requestHeaders(exchange.headers, use !== null),
          'x-request-id': requestId,
          ...trace?.placed(flight.decision),
        },
        body: body.length > 0 || exchange.method === 'POST' ? body : null,
      },
      route: this.#learning(flight, parsed, key, trace, use, () => {
        exchange.recycleBody();
        byteSlabs.giveBack(parsed.prompt.bytes);
        if (asking !== null) byteSlabs.giveBack(asking);
      }),
      unanswered: (last, failure, reason) => {
        const error = unansweredError(last.name, failure, reason);
        this.#options.metrics.refused(error.code);
        return error;
      },
      headers: (endpoint) => ({
        'x-request-id': requestId,
        ...decisionHeaders(flight, endpoint.name),
        ...sessions.answered(exchange.headers, endpoint.name),
      }),
    });
  }

  /** What a stream that breaks is gone on with; null where it is to end there. */
  #continues({ headers }: Exchange, { kind, streaming, body }: ParsedRequest): RelayOptions['continues'] {
    if (!streaming || (kind !== 'chat' && kind !== 'completions')) return null;
    if (!this.#options.continuation || headers['x-signalbox-continuation'] === 'off') return null;
    return { kind, body };
  }

  /** The flight, with what its answer teaches. */
  #learning(
    flight: Flight,
    parsed: ParsedRequest,
    key: PrefixKey,
    trace: RequestTrace | null,
    use: KeyUse | null,
    recycle: () => void,
  ): Route {
    const { metrics, dispatch, connector } = this.#options;
    const { fleet, clock } = dispatch;
    const piece = parsed.streaming ? metrics.requests.piecesOf(flight.decision, () => clock.nowMs()) : null;
    return new FlightRoute(flight, piece, (ending) => {
      finishFlight(flight, parsed, key, fleet, ending);
      use?.answered(ending, clock.nowMs());
      metrics.requests.sizes(flight.decision, parsed.body.length, ending.answerBytes);
      trace?.ended(ending.status, flight.decision);
      // Where nothing went wrong and nobody else was asked, nobody can be reading the body any more.
      if (ending.complete && flight.decision.attempts.length === 1 && connector === null) recycle();
      if (ending.status < 500) return;
      const { status, reason } = ending;
      this.#options.log.warn({ decision: flight.decision.id, status, reason }, 'request failed');
    });
  }

  #readiness(response: ClientResponse): void {
    if (this.ready) sendJson(response, { status: 'ready' });
    else
      sendJson(
        response,
        { status: 'not ready', reason: this.#draining ? 'shutting down' : 'no endpoint is ready' },
        503,
      );
  }

  #models(exchange: Exchange, encodedId: string, keys: Keys | null): void {
    const send = (key: Key | null): void => this.#sendModels(exchange, encodedId, key);
    const key = keys === null ? null : keys.identify(exchange.headers);
    if (key instanceof Promise) key.then(send).catch((error: unknown) => this.#fail(exchange, error));
    else send(key);
  }

  /** All models, or the one of that name; of either only what is for the key. */
  #sendModels(response: ClientResponse, encodedId: string, key: Key | null): void {
    const { fleet } = this.#options.dispatch;
    const models = fleet.models();
    for (const each of models.keys()) if (key?.mayUse(each) === false) models.delete(each);
    if (encodedId === '') return sendJson(response, { object: 'list', data: [...models.values()].map(modelObject) });
    const id = decoded(encodedId);
    const model = models.get(id);
    if (model === undefined) {
      const shown = [...models.keys()].sort().join(', ') || 'none';
      throw new SignalboxError('model_unknown', `The model "${id}" does not exist here. Models: ${shown}.`, {
        param: 'model',
      });
    }
    sendJson(response, modelObject(model));
  }

  #fail(response: ClientResponse, thrown: unknown, extra: ExtraHeaders = {}): void {
    const error = asSignalboxError(thrown);
    this.#options.metrics.refused(error.code);
    if (error.code === 'internal') this.#options.log.error({ err: thrown }, error.message);
    sendError(response, error, extra);
  }
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

function unknownRoute(method: string, path: string): SignalboxError {
  const message = `There is no ${method} ${path.slice(0, 200)} here. The API is under /v1/, e.g. POST /v1/chat/completions.`;
  return new SignalboxError('route_unknown', message);
}

function modelObject({ id, createdSeconds, maxModelTokens }: ServedModel): object {
  return {
    id,
    object: 'model',
    created: createdSeconds ?? 0,
    owned_by: 'signalbox',
    ...(maxModelTokens === undefined ? {} : { max_model_len: maxModelTokens }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function unansweredError(last: string, failure: TransportFailure, reason: string): SignalboxError {
  const code = {
    connect: 'no_endpoint',
    reset: 'endpoint_failed',
    timeout: 'endpoint_timeout',
    local: 'overloaded',
  } as const;
  const message = `No endpoint could answer; the last one tried was ${last}: ${reason}.`;
  return new SignalboxError(code[failure], message, { retryAfterSeconds: 1 });
}
