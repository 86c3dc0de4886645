import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { askedRank } from '../api/data-parallel-rank.ts';
import { BodyRoom } from '../api/body-room.ts';
import { requestHeaders, saneRequestId } from '../api/control-headers.ts';
import { isObject } from '../api/prompt.ts';
import { sendError } from '../api/respond.ts';
import { withoutTransferMembers } from '../api/transfer-members.ts';
import { SignalboxError } from '../base/errors.ts';
import { createLogger, type Logger } from '../base/log.ts';
import type { Connector } from '../disaggregation/connector.ts';
import { bothLegs } from '../disaggregation/legs.ts';
import { reportHeader } from '../disaggregation/prefill-headers.ts';
import { NodeExchange } from '../proxy/node-exchange.ts';
import { connectUpstream } from '../proxy/http-engine.ts';
import { drain, listen, portOf, type Certificate } from '../proxy/listen.ts';
import { relay, type Route } from '../proxy/relay.ts';
import type { Security, UpstreamRequest } from '../proxy/upstream.ts';
import { InFlight } from './in-flight.ts';
import { watchPool, type PoolOptions } from './pool.ts';
import { RequestedPrefill } from './requested-prefill.ts';

interface SidecarOptions {
  readonly host?: string;
  readonly port: number;
  /** The engine's port, on this machine. */
  readonly enginePort: number;
  /** How caches are handed over from prefill; null leaves prompts to the engine here. */
  readonly connector: Connector | null;
  readonly pool?: PoolOptions;
  /** Data-parallel ranks of the engine: rank r is listened for on port + r, and listens on enginePort + r. */
  readonly ranks?: number;
  /** Serves TLS. */
  readonly certificate?: Certificate;
  readonly prefillSecurity?: Security;
  readonly decodeSecurity?: Security;
  /** How long a prefill may take before another is tried. */
  readonly prefillPatienceMs?: number;
  readonly log?: Logger;
}

interface Sidecar {
  readonly port: number;
  close(graceMs?: number): Promise<void>;
}

const maxBodyBytes = 64 * 1024 * 1024;
const maxTotalBodyBytes = 512 * 1024 * 1024;
const defaultGraceMs = 30_000;
const defaultPrefillPatienceMs = 120_000;

/**
 * The routing proxy in front of one engine. A request that names prefill endpoints has its prompt computed by one of them
 * and handed to the engine here; everything else passes through. While the engine is not there, answers are 503 with a
 * reason, and the log says so once. `GET /drained` is answered when nothing is under way.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const log = options.log ?? createLogger('routing-proxy');
  const { connector, certificate, port, ranks = 1, prefillPatienceMs = defaultPrefillPatienceMs } = options;
  const upstream = connectUpstream('own', options.decodeSecurity);
  const prefillUpstream = connectUpstream('own', options.prefillSecurity);
  const pool = await watchPool(options.pool ?? {}, log);
  const refused = (asked: string): void =>
    log.warn({ asked }, 'asked to have a prompt computed outside the pool; it is computed here');

  const inFlight = new InFlight();
  const bodies = new BodyRoom(maxTotalBodyBytes);
  const handler = (rank: number): ((incoming: IncomingMessage, response: ServerResponse) => void) => {
    const address = `127.0.0.1:${options.enginePort + rank}`;
    const seen = engineWatch(address, log);
    return (incoming, response) => {
      // Asked before a pod ends, by its preStop hook.
      if (incoming.url === '/drained') return inFlight.answerWhenQuiet(response);
      if (incoming.method === 'POST') inFlight.add(response);
      const exchange = new NodeExchange(incoming, response);
      const send = (body: Buffer): void => {
        if (response.destroyed) return;
        const asked = askedRank(incoming.headers);
        const engine = { name: 'engine', address, ...(asked === undefined ? {} : { rank: asked }) };
        const prefill = RequestedPrefill.of(incoming.headers, {
          allows: pool.allows,
          patienceMs: prefillPatienceMs,
          refused,
        });
        const legs =
          connector && bothLegs({ connector, prefill: prefillUpstream, decode: upstream, leg: () => prefill.leg() });
        relay({
          upstream: legs ?? upstream,
          client: exchange,
          request: requestOf(incoming, body),
          route: onlyRoute(engine, seen),
          headers: () => {
            const report = prefill.report();
            return report === null ? {} : { [reportHeader]: JSON.stringify(report) };
          },
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
      };
      exchange.readBody({ limitBytes: maxBodyBytes, room: bodies }, send, (error) => sendError(exchange, error));
    };
  };

  const servers: Server[] = [];
  const closeServers = (graceMs: number): Promise<void[]> =>
    Promise.all(servers.map((server) => drain(server, graceMs)));
  try {
    for (let rank = 0; rank < ranks; rank++) {
      servers.push(
        await listen(handler(rank), {
          host: options.host ?? '127.0.0.1',
          port: port === 0 ? 0 : port + rank,
          portFlag: '--port',
          ...(certificate === undefined ? {} : { certificate }),
        }),
      );
    }
  } catch (error) {
    pool.close();
    await closeServers(0);
    throw error;
  }
  const firstPort = portOf(servers[0]!);
  log.info({ port: firstPort, engine: `127.0.0.1:${options.enginePort}` }, 'listening');
  return {
    port: firstPort,
    async close(graceMs = defaultGraceMs) {
      pool.close();
      await closeServers(graceMs);
      await upstream.destroy();
      await prefillUpstream.destroy();
    },
  };
}

/** What goes to the engine, and to prefill: without anything by which a client could meddle with the transfer. */
function requestOf(incoming: IncomingMessage, body: Buffer): UpstreamRequest {
  return {
    method: incoming.method ?? 'GET',
    path: incoming.url ?? '/',
    // The same on both legs, so that their logs can be read together.
    headers: {
      ...requestHeaders(incoming.headers),
      'x-request-id': saneRequestId(incoming.headers) ?? randomUUID(),
    },
    body: body.length > 0 || incoming.method === 'POST' ? clean(body) : null,
  };
}

function clean(body: Buffer): Buffer {
  try {
    const fields: unknown = JSON.parse(body.toString());
    return isObject(fields) ? withoutTransferMembers(body, fields) : body;
  } catch {
    return body; // not JSON: the engine's to judge
  }
}

/** Says in one line when the engine comes or goes. */
function engineWatch(engine: string, log: Logger): (up: boolean) => void {
  let isUp: boolean | null = null;
  return (up) => {
    if (isUp === up) return;
    isUp = up;
    log.info({ engine }, up ? 'engine answers' : 'engine not ready');
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
