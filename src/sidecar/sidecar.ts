import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { requestHeaders, saneRequestId } from '../api/control-headers.ts';
import { createLogger, type Logger } from '../base/log.ts';
import { SignalboxError } from '../base/errors.ts';
import { drain, listen, portOf } from '../proxy/listen.ts';
import { readBody } from '../api/read-body.ts';
import { clientResponse } from '../proxy/client-response.ts';
import { relay, type Route } from '../proxy/relay.ts';
import { sendError } from '../api/respond.ts';
import { Upstream } from '../proxy/upstream.ts';
import { InFlight } from './in-flight.ts';

interface SidecarOptions {
  readonly host?: string;
  readonly port: number;
  /** The engine's port, on this machine. */
  readonly enginePort: number;
  /** How caches are handed over from prefill; accepted, without effect yet. */
  readonly connector: string | null;
  readonly log?: Logger;
}

interface Sidecar {
  readonly port: number;
  close(graceMs?: number): Promise<void>;
}

const maxBodyBytes = 64 * 1024 * 1024;
const defaultGraceMs = 30_000;

/**
 * The routing proxy in front of one engine: everything passes through. While the engine is not there, answers are
 * 503 with a reason, and the log says so once. `GET /drained` is answered when nothing is under way.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const log = options.log ?? createLogger('routing-proxy');
  const engine = { name: 'engine', address: `127.0.0.1:${options.enginePort}` };
  const upstream = new Upstream();
  let engineIsUp: boolean | null = null;
  const seen = (up: boolean): void => {
    if (engineIsUp === up) return;
    engineIsUp = up;
    log.info({ engine: engine.address }, up ? 'engine answers' : 'engine not ready');
  };
  if (options.connector !== null) {
    log.warn(
      `--connector ${options.connector}: prefill and decode apart are not built yet; requests go to this engine only`,
    );
  }

  const inFlight = new InFlight();
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    // Asked before a pod ends, by its preStop hook.
    if (incoming.url === '/drained') return inFlight.answerWhenQuiet(response);
    if (incoming.method === 'POST') inFlight.add(response);
    readBody(
      incoming,
      maxBodyBytes,
      (body) => {
        if (response.destroyed) return;
        const requestId = saneRequestId(incoming.headers) ?? randomUUID();
        relay({
          upstream,
          client: clientResponse(response),
          request: {
            method: incoming.method ?? 'GET',
            path: incoming.url ?? '/',
            headers: { ...requestHeaders(incoming.headers), 'x-request-id': requestId },
            body: body.length > 0 || incoming.method === 'POST' ? body : null,
          },
          route: onlyRoute(engine, seen),
          headers: () => ({}),
          hideUsage: false,
          keepText: false,
          // The gateway in front can go on elsewhere, if it sees the break as it was.
          explainBreaks: false,
          continues: null,
          unanswered: (_engine, failure, reason) =>
            failure === 'connect'
              ? new SignalboxError('no_endpoint', 'engine not ready', { retryAfterSeconds: 1 })
              : new SignalboxError('endpoint_failed', `The engine gave no answer: ${reason}.`),
        });
      },
      (error) => sendError(response, error),
    );
  };
  const server = await listen(handle, {
    host: options.host ?? '127.0.0.1',
    port: options.port,
    portFlag: '--port',
  });
  log.info({ port: portOf(server), engine: engine.address }, 'listening');
  return {
    port: portOf(server),
    async close(graceMs = defaultGraceMs) {
      await drain(server, graceMs);
      await upstream.destroy();
    },
  };
}

/** One engine, nowhere else to go; a connection that went stale while idle is worth a second try. */
function onlyRoute(engine: Route['endpoint'], seen: (up: boolean) => void): Route {
  let tries = 1;
  return {
    endpoint: engine,
    retry(status, failure) {
      if (status !== null) seen(true);
      else if (failure === 'connect') seen(false);
      return failure === 'reset' && tries++ === 1 ? engine : null;
    },
    firstToken: () => seen(true),
    finish: () => undefined,
  };
}
