import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import { text } from 'node:stream/consumers';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { snapshotsOf } from '../../base/metrics.ts';
import { sendJson } from '../../api/respond.ts';
import type { Core } from '../../door/core.ts';
import { PortStream } from './port-stream.ts';

/** Where a thread tells the first one its metrics before they are text. */
export const familiesPath = '/families';

/** A further thread's admin API: HTTP over message ports, for the first thread alone. */
export class AdminPorts {
  readonly #server;

  constructor(core: Core, admin: RequestListener) {
    this.#server = createServer((request, response) => {
      if (request.url === familiesPath) sendJson(response, snapshotsOf(core.families()));
      else admin(request, response);
    });
  }

  serve(port: MessagePort): void {
    this.#server.emit('connection', new PortStream(port));
  }
}

/** Asks another thread's admin API; `hand` passes it its end of the port. */
export function askAdmin(
  path: string,
  hand: (port: MessagePort) => void,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { port1, port2 } = new MessageChannel();
  const stream = new PortStream(port1);
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...{ path, signal, headers: { host: 'localhost' } },
      createConnection: () => stream,
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
    hand(port2);
  });
}

/** What it answers, as JSON; null where that is an error. */
export async function jsonOf(response: IncomingMessage): Promise<unknown> {
  const body = await text(response);
  return response.statusCode === 200 ? JSON.parse(body) : null;
}
