import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyRoom } from '../api/body-room.ts';
import { setImmediate } from 'node:timers/promises';
import { asSignalboxError } from '../api/errors.ts';
import { familiesOfThreads, metricsText, snapshotsOf, type Family } from '../base/metrics.ts';
import { SignalboxError } from '../base/errors.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { KvEvents } from '../fleet/kv-events/kv-events.ts';
import type { PromptTokens } from '../fleet/tokens/prompt-tokens.ts';
import type { Keys } from '../keys/keys.ts';
import type { Sharing } from '../sharing/sharing.ts';
import type { PrefixKey } from '../fleet/prefix-index/prefix-key.ts';
import { decisionJson, decisionText } from '../journal/decision-json.ts';
import { decisionRow } from '../journal/decision-row.ts';
import { flipsJson } from '../journal/flips.ts';
import { readBody } from '../api/read-body.ts';
import { sendError, sendJson, sendJsonText } from '../api/respond.ts';
import type { Decision } from '../scheduler/decision.ts';
import type { SchedulingRequest } from '../scheduler/request.ts';
import type { PoliciesJson } from './json.ts';
import {
  mergedAdmission,
  mergedDecisions,
  mergedEndpoints,
  mergedKeys,
  mergedPrefixes,
  mergedSeries,
  mergedShadow,
} from './merged.ts';
import type { OtherWorkers } from './other-workers.ts';
import { ConsoleFiles } from './console-files.ts';
import { EventStreams } from './event-streams.ts';
import { checkOrigin } from './origin.ts';
import { Series, seriesStepMs } from './series.ts';
import { admissionJson, endpointsJson, keysJson, prefixesJson, shadowJson, sharingJson } from './views.ts';

/** What the scheduler is asked. */
interface Question {
  readonly request: SchedulingRequest;
  readonly key: PrefixKey;
}

/** What the admin API needs of the front door it belongs to. */
interface AdminOptions {
  readonly door: {
    readonly ready: boolean;
    question(
      kind: 'completions' | 'chat' | 'embeddings',
      body: Buffer,
      headers: IncomingMessage['headers'],
      answer: (question: Question) => void,
    ): void;
    /** Serves the console's playground under `/v1/`, as every client is served; a door that speaks no HTTP has none. */
    handle?(request: IncomingMessage, response: ServerResponse): void;
  };
  readonly dispatch: Dispatch;
  readonly metrics: { families(): Family[] };
  readonly kvEvents: KvEvents;
  readonly tokens: PromptTokens;
  /** Null where everybody may send requests. */
  readonly keys: Keys | null;
  readonly bodies: BodyRoom;
  /** Null where there are no other replicas. */
  sharing(): Sharing | null;
  /** The threads that it speaks for as well; null where this one serves alone. */
  readonly others: OtherWorkers | null;
  /** The host it is bound to, which requests may name beside the loopback names. */
  readonly host: string;
  reload(): Promise<void>;
  /** Of the policy: which it is since the start, how the last attempt to replace it went, the plugins of the user's. */
  /** What decides, which it is since the start, and how the last attempt to replace it went. */
  configuration(): PoliciesJson;
}

interface Admin {
  handle(this: void, request: IncomingMessage, response: ServerResponse): void;
  close(): void;
}

const maxExplainBytes = 32 * 1024 * 1024;
const largestPage = 1000;

/** Of several threads' answers, the first one's own before, one. */
type Merge<Json> = (own: Json, others: readonly Json[]) => Json;

type Route = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

/** The admin API: everything the box knows, for people and tools on this machine. */
export function createAdmin(options: AdminOptions): Admin {
  const { door, dispatch, metrics, others } = options;
  const { fleet, journal } = dispatch;
  const events = new EventStreams(journal, dispatch.clock, others);
  const series = new Series(dispatch);
  const console = new ConsoleFiles();

  /** With what would have changed it where `?flips=1` asks for that. */
  const sendDecision = (response: ServerResponse, url: URL, decision: Decision): void => {
    if (url.searchParams.get('flips') !== '1') return sendJsonText(response, decisionText(decision));
    inSteps(dispatch.counterfactual(decision)).then(
      (flips) => sendJson(response, { ...decisionJson(decision), flips: flipsJson(decision, flips) }),
      (error: unknown) => sendError(response, asSignalboxError(error)),
    );
  };

  /** What this thread has to say, or what all of them have where there are several. */
  const sendOfAll = <Json>(response: ServerResponse, path: string, own: Json, merge: Merge<Json>): void => {
    if (others === null) return sendJson(response, own);
    others.get(path).then(
      (rest) => sendJson(response, merge(own, rest as Json[])),
      (error: unknown) => sendError(response, asSignalboxError(error)),
    );
  };

  const sendMetrics = (response: ServerResponse): void => {
    const own = [...metrics.families(), ...events.families()];
    const send = (families: readonly Family[]): void =>
      sendText(response, 'text/plain; version=0.0.4', metricsText(families));
    if (others === null) return send(own);
    others.families().then(
      (rest) => send(familiesOfThreads([snapshotsOf(own), ...rest])),
      (error: unknown) => sendError(response, asSignalboxError(error)),
    );
  };

  const routes = new Map<string, Route>([
    ['GET /healthz', (_request, response) => sendJson(response, { status: 'ok' })],
    [
      'GET /readyz',
      (_request, response) =>
        door.ready
          ? sendJson(response, { status: 'ready' })
          : sendJson(response, { status: 'not ready', reason: 'no endpoint is ready' }, 503),
    ],
    ['GET /metrics', (_request, response) => sendMetrics(response)],
    [
      'GET /api/endpoints',
      (_request, response) => {
        const own = endpointsJson(fleet, series, dispatch.clock.nowMs());
        sendOfAll(response, '/api/endpoints', own, mergedEndpoints);
      },
    ],
    [
      'GET /api/series',
      (_request, response, url) => {
        const after = numberParameter(url, 'after');
        // Others' steps end at other moments: one that ended before the first's is needed for it.
        const path = after === null ? '/api/series' : `/api/series?after=${after - 2 * seriesStepMs}`;
        sendOfAll(response, path, series.json(after ?? undefined), mergedSeries);
      },
    ],
    [
      'GET /api/admission',
      (_request, response) => sendOfAll(response, '/api/admission', admissionJson(dispatch), mergedAdmission),
    ],
    [
      'GET /api/keys',
      (_request, response, url) => {
        const text = url.searchParams.get('text') ?? '';
        const limit = numberParameter(url, 'limit') ?? Infinity;
        // Which were used last is known once all have said when they were.
        const own = keysJson(options.keys, dispatch.clock, { text, limit: others === null ? limit : Infinity });
        const path = `/api/keys?text=${encodeURIComponent(text)}`;
        sendOfAll(response, path, own, (first, rest) => mergedKeys(first, rest, limit));
      },
    ],
    ['GET /api/sharing', (_request, response) => sendJson(response, sharingJson(options.sharing()))],
    ['GET /api/shadow', (_request, response) => sendOfAll(response, '/api/shadow', shadowJson(dispatch), mergedShadow)],
    [
      'GET /api/decisions',
      (_request, response, url) => {
        const limit = pageSize(url);
        const [after, before] = [url.searchParams.get('after'), url.searchParams.get('before')];
        const decisions = after === null ? journal.latest(limit, before) : journal.after(after, limit);
        const isBrief = url.searchParams.get('brief') === '1';
        if (others !== null) {
          const own = decisions.map((decision) => (isBrief ? decisionRow(decision) : decisionJson(decision)));
          sendOfAll(response, `/api/decisions${url.search}`, own, (first, rest) =>
            mergedDecisions([first, ...rest].flat(), limit, after !== null),
          );
        } else if (isBrief) sendJson(response, decisions.map(decisionRow));
        else sendJsonText(response, `[${decisions.map(decisionText).join()}]`);
      },
    ],
    ['GET /api/policies', (_request, response) => sendJson(response, options.configuration())],
    [
      'GET /api/prefixes',
      (_request, response) => {
        const own = prefixesJson(fleet, options.kvEvents, options.tokens, dispatch.clock.nowMs());
        sendOfAll(response, '/api/prefixes', own, mergedPrefixes);
      },
    ],
    [
      'GET /api/events',
      (_request, response) => {
        if (events.add(response)) return;
        throw new SignalboxError('saturated', 'Too many listen to events already.', { retryAfterSeconds: 5 });
      },
    ],
    [
      'POST /api/explain',
      (request, response, url) =>
        readBody(
          request,
          response,
          { limitBytes: maxExplainBytes, room: options.bodies },
          guarded(response, (body: Buffer) => {
            const decide = guarded(response, ({ request: question, key }: Question) =>
              sendDecision(response, url, dispatch.explain(question, key)),
            );
            door.question(kindOf(url, body), body, request.headers, decide);
          }),
          (error) => sendError(response, error),
        ),
    ],
    [
      'POST /api/reload',
      (_request, response) => {
        others?.reload();
        options.reload().then(
          () => sendJson(response, options.configuration()),
          (error: unknown) => sendError(response, asSignalboxError(error)),
        );
      },
    ],
  ]);

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    guarded(response, () => {
      checkOrigin(request, options.host);
      const url = new URL(request.url ?? '/', 'http://admin');
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      const route = routes.get(`${method} ${url.pathname}`);
      if (route !== undefined) {
        route(request, response, url);
      } else if (method === 'GET' && console.serves(url.pathname)) {
        console.send(request, response, url.pathname);
      } else if (url.pathname.startsWith('/v1/')) {
        if (door.handle === undefined) {
          throw new SignalboxError('route_unknown', 'No requests are served here: they come through the data plane.');
        }
        door.handle(request, response);
      } else if (method === 'GET' && url.pathname.startsWith('/api/decisions/')) {
        const id = decodeURIComponent(url.pathname.slice('/api/decisions/'.length));
        const decision = journal.find(id);
        if (decision !== null) return sendDecision(response, url, decision);
        const unknown = new SignalboxError(
          'route_unknown',
          `No decision "${id}" is kept: it is too long ago, or never was.`,
        );
        if (others === null) throw unknown;
        others.get(url.pathname + url.search).then(
          ([found]) => (found === undefined ? sendError(response, unknown) : sendJson(response, found)),
          (error: unknown) => sendError(response, asSignalboxError(error)),
        );
      } else if ([...routes.keys()].some((known) => known.endsWith(` ${url.pathname}`))) {
        throw new SignalboxError('method_not_allowed', `${url.pathname} does not take ${method}.`);
      } else {
        throw new SignalboxError('route_unknown', `There is no ${method} ${url.pathname} in the admin API.`);
      }
    })();
  };
  const close = (): void => {
    events.close();
    series.close();
  };
  return { handle, close };
}

/** Runs a search to its end, letting requests through between its steps. */
async function inSteps<Result>(search: Generator<undefined, Result>): Promise<Result> {
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
    await setImmediate();
  }
}

function guarded<Args extends unknown[]>(response: ServerResponse, step: (...args: Args) => void) {
  return (...args: Args): void => {
    try {
      step(...args);
    } catch (error) {
      sendError(response, asSignalboxError(error));
    }
  };
}

/** `?kind=` when given; else what the body looks like. */
function kindOf(url: URL, body: Buffer): 'completions' | 'chat' | 'embeddings' {
  const kind = url.searchParams.get('kind');
  if (kind === 'completions' || kind === 'chat' || kind === 'embeddings') return kind;
  if (body.includes('"messages"')) return 'chat';
  return body.includes('"input"') && !body.includes('"prompt"') ? 'embeddings' : 'completions';
}

function pageSize(url: URL): number {
  const limit = numberParameter(url, 'limit') ?? 100;
  if (Number.isInteger(limit) && limit > 0) return Math.min(limit, largestPage);
  throw new SignalboxError('request_invalid', `limit must be a whole number from 1 to ${largestPage}.`, {
    param: 'limit',
  });
}

function numberParameter(url: URL, name: string): number | null {
  const text = url.searchParams.get(name);
  if (text === null) return null;
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new SignalboxError('request_invalid', `${name} must be a number.`, { param: name });
}

function sendText(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
