import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { requestHeaders, saneRequestId, visibleHeaders } from '../api/control-headers.ts';
import { asSignalboxError } from '../api/errors.ts';
import { answerBytes } from '../api/prompt.ts';
import { parseOther, parseRequest, type ParsedRequest, type RequestKind } from '../api/request.ts';
import type { BlockHashes } from '../base/block-hash.ts';
import type { Logger } from '../base/log.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { Flight } from '../dispatch/flight.ts';
import { continuedHashes, noPrefix, prefixKeyOf, type PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import { readBody } from '../api/read-body.ts';
import { relay } from '../proxy/relay.ts';
import { sendError, sendJson, type ExtraHeaders } from '../api/respond.ts';
import type { Upstream } from '../proxy/upstream.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { SessionTokens } from './session-token.ts';

interface FrontDoorOptions {
  readonly dispatch: Dispatch;
  readonly upstream: Upstream;
  readonly sessions: SessionTokens;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly maxBodyBytes: number;
}

/** What the scheduler is asked about a request. */
interface Question {
  readonly request: SchedulingRequest;
  readonly key: PrefixKey;
}

const kindByPath = new Map<string, Exclude<RequestKind, 'other'>>([
  ['/v1/completions', 'completions'],
  ['/v1/chat/completions', 'chat'],
  ['/v1/embeddings', 'embeddings'],
]);

/** The OpenAI-compatible HTTP door: routes, reads, asks dispatch, relays. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  #draining = false;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
  }

  /** From here on readiness is off and new requests are told to go elsewhere. */
  startDraining(): void {
    this.#draining = true;
  }

  get ready(): boolean {
    return !this.#draining && this.#options.dispatch.fleet.anyReady;
  }

  handle(incoming: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(incoming);
    try {
      if (path === '/healthz') sendJson(response, { status: 'ok' });
      else if (path === '/health' || path === '/readyz') this.#readiness(response);
      else if (!path.startsWith('/v1/')) throw unknownRoute(incoming.method, path);
      else if (this.#draining) throw new SignalboxError('shutting_down', 'Shutting down.', { retryAfterSeconds: 1 });
      else if (incoming.method === 'GET' && path === '/v1/models') this.#models(response);
      else if (incoming.method === 'GET' && path.startsWith('/v1/models/')) this.#model(response, path.slice(11));
      else this.#serve(incoming, response, path);
    } catch (error) {
      this.#fail(response, error);
    }
  }

  /** Reads a body as the door would and puts the scheduler's question, for those who only want to know. */
  question(kind: Exclude<RequestKind, 'other'>, body: Buffer, headers: IncomingMessage['headers']): Question {
    return this.#question(parseRequest(kind, body), 'explain', headers);
  }

  #serve(incoming: IncomingMessage, response: ServerResponse, path: string): void {
    const requestId = saneRequestId(incoming.headers) ?? randomUUID();
    const extra = { 'x-request-id': requestId };
    const kind = kindByPath.get(path) ?? 'other';
    if (kind !== 'other' && incoming.method !== 'POST') {
      throw new SignalboxError('method_not_allowed', `${path} takes POST, not ${incoming.method}.`);
    }
    readBody(
      incoming,
      this.#options.maxBodyBytes,
      (body) => {
        try {
          const type = incoming.headers['content-type'] ?? '';
          const parsed = kind === 'other' ? parseOther(body, type) : parseRequest(kind, body);
          this.#place(incoming, response, parsed, requestId);
        } catch (error) {
          this.#fail(response, error, extra);
        }
      },
      (error) => this.#fail(response, error, extra),
    );
  }

  #place(incoming: IncomingMessage, response: ServerResponse, parsed: ParsedRequest, requestId: string): void {
    const { dispatch } = this.#options;
    const { request, key } = this.#question(parsed, requestId, incoming.headers);
    if (response.destroyed) return;
    const ticket = dispatch.place(request, key, {
      placed: (flight) => this.#relay(incoming, response, parsed, requestId, key, flight),
      refused: (error, decision) => {
        const id = decision === null ? {} : { 'x-signalbox-decision': decision.id };
        this.#fail(response, error, { 'x-request-id': requestId, ...id });
      },
    });
    response.once('close', () => ticket.cancel());
  }

  #relay(
    incoming: IncomingMessage,
    response: ServerResponse,
    parsed: ParsedRequest,
    requestId: string,
    key: PrefixKey,
    flight: Flight,
  ): void {
    const { upstream, dispatch, sessions } = this.#options;
    const usesSessions = dispatch.policy.usesSessions;
    relay({
      upstream,
      response,
      keepText: parsed.continuable,
      explainBreaks: true,
      request: {
        method: incoming.method ?? 'GET',
        path: incoming.url ?? '/',
        headers: { ...requestHeaders(incoming.headers), 'x-request-id': requestId },
        body: parsed.body.length > 0 || incoming.method === 'POST' ? parsed.body : null,
      },
      route: this.#learning(flight, parsed, key),
      unanswered: (last, failure, reason) => {
        const error = unansweredError(last.name, failure, reason);
        this.#options.metrics.refused(error.code);
        return error;
      },
      headers: (endpoint) => ({
        'x-request-id': requestId,
        'x-signalbox-decision': flight.decision.id,
        'x-signalbox-endpoint': headerText(endpoint.name),
        'x-signalbox-reason': headerText(reasonOf(flight)),
        ...(usesSessions ? { 'x-session-token': sessions.tokenFor(endpoint.name) } : {}),
      }),
    });
  }

  /** The flight, with what its answer teaches: how long the model's tokens are, and what the next turn will begin with. */
  #learning(flight: Flight, parsed: ParsedRequest, key: PrefixKey): Parameters<typeof relay>[0]['route'] {
    const { bytesPerToken, prefixSeed } = this.#options.dispatch.fleet;
    const { kind, model, cacheSalt, prompt } = parsed;
    const answerOf = (text: string | null): BlockHashes | null =>
      text === null || (kind !== 'chat' && kind !== 'completions')
        ? null
        : continuedHashes(key, { model, cacheSalt, bytes: prompt.bytes }, answerBytes(kind, text), prefixSeed);
    return {
      get endpoint() {
        return flight.endpoint;
      },
      retry: (status, failure, reason) => flight.retry(status, failure, reason),
      firstToken: (status) => flight.firstToken(status),
      finish: ({ text, ...ending }) => {
        if (ending.promptTokens !== null && parsed.prompt.tokens === null) {
          bytesPerToken.observe(parsed.model, parsed.prompt.textBytes, ending.promptTokens);
        }
        flight.finish({ ...ending, answer: ending.complete ? answerOf(text) : null });
        if (ending.status >= 500) this.#options.log.warn({ decision: flight.decision.id, ...ending }, 'request failed');
      },
    };
  }

  #question(parsed: ParsedRequest, requestId: string, headers: IncomingMessage['headers']): Question {
    const { fleet } = this.#options.dispatch;
    const { prompt, model, cacheSalt } = parsed;
    const token = headers['x-session-token'];
    return {
      key:
        prompt.bytes.length === 0 ? noPrefix : prefixKeyOf({ model, cacheSalt, bytes: prompt.bytes }, fleet.prefixSeed),
      request: {
        requestId,
        model,
        kind: parsed.kind,
        streaming: parsed.streaming,
        promptTokens: prompt.tokens ?? Math.ceil(prompt.textBytes / fleet.bytesPerToken.of(model)),
        promptCharacters: prompt.characters,
        maxOutputTokens: parsed.maxOutputTokens,
        sessionEndpoint: typeof token === 'string' ? this.#options.sessions.endpointOf(token) : null,
        headers: visibleHeaders(headers),
      },
    };
  }

  #readiness(response: ServerResponse): void {
    if (this.ready) sendJson(response, { status: 'ready' });
    else
      sendJson(
        response,
        { status: 'not ready', reason: this.#draining ? 'shutting down' : 'no endpoint is ready' },
        503,
      );
  }

  #models(response: ServerResponse): void {
    const { fleet } = this.#options.dispatch;
    sendJson(response, { object: 'list', data: [...fleet.models()].sort().map(modelObject) });
  }

  #model(response: ServerResponse, encodedId: string): void {
    const { fleet } = this.#options.dispatch;
    const id = decoded(encodedId);
    const models = fleet.models();
    if (!models.has(id)) {
      const shown = [...models].sort().join(', ') || 'none';
      throw new SignalboxError('model_unknown', `The model "${id}" does not exist here. Models: ${shown}.`, {
        param: 'model',
      });
    }
    sendJson(response, modelObject(id));
  }

  #fail(response: ServerResponse, thrown: unknown, extra: ExtraHeaders = {}): void {
    const error = asSignalboxError(thrown);
    this.#options.metrics.refused(error.code);
    if (error.code === 'internal') this.#options.log.error({ err: thrown }, error.message);
    sendError(response, error, extra);
  }
}

function pathOf(incoming: IncomingMessage): string {
  const url = incoming.url ?? '/';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function unknownRoute(method: string | undefined, path: string): SignalboxError {
  const message = `There is no ${method} ${path.slice(0, 200)} here. The API is under /v1/, e.g. POST /v1/chat/completions.`;
  return new SignalboxError('route_unknown', message);
}

function modelObject(id: string): object {
  return { id, object: 'model', created: 0, owned_by: 'signalbox' };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function unansweredError(last: string, failure: 'connect' | 'reset' | 'timeout', reason: string): SignalboxError {
  const code = { connect: 'no_endpoint', reset: 'endpoint_failed', timeout: 'endpoint_timeout' } as const;
  const message = `No endpoint could answer; the last one tried was ${last}: ${reason}.`;
  return new SignalboxError(code[failure], message, { retryAfterSeconds: 1 });
}

/** The decision's reason, or, once it was tried elsewhere, why. */
function reasonOf({ decision }: Flight): string {
  const failed = decision.attempts.slice(0, -1);
  if (failed.length === 0) return decision.reason;
  return `retried after ${failed.map(({ endpoint, reason }) => `${endpoint}: ${reason}`).join(', ')}`;
}

/** Header values are ASCII; names of endpoints and plugins nearly always are. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
