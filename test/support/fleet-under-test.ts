import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '../../src/base/log.ts';
import { startEngineServer } from '../../src/engine/server/engine-server.ts';
import type { HttpEngine } from '../../src/proxy/http-engines.ts';
import type { Cleanup } from './command.ts';
import { startGateway, type Gateway, type GatewayOptions } from '../../src/gateway/gateway.ts';

export const model = 'toy/model';

/** A log that nobody reads. */
export const silent = createLogger('test', { write: () => undefined });

/** A simulated engine, fast, closed when the test ends. */
export async function startEngine(t: Cleanup, options: Partial<Parameters<typeof startEngineServer>[0]> = {}) {
  const engine = await startEngineServer({ model, port: 0, timeScale: 20, ...options });
  t.after(() => engine.close());
  return { ...engine, url: `http://127.0.0.1:${engine.port}` };
}

/**
 * An engine whose answers the test writes itself; `/v1/models` and `/health` are answered for it, and that it has none of
 * the `optional` routes, unless it names them.
 */
export async function startStub(
  t: Cleanup,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  optional: readonly string[] = [],
  served = model,
): Promise<{
  url: string;
  name: string;
  server: Server;
  requests: { path: string; body: string; headers: IncomingMessage['headers'] }[];
}> {
  const requests: { path: string; body: string; headers: IncomingMessage['headers'] }[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: [{ id: served }] }));
      return;
    }
    const path = request.url ?? '';
    if ((path === '/metrics' && !optional.includes(path)) || path === '/health') {
      response.end('');
      return;
    }
    if (['/kv_event_sources', '/server_info', '/tokenize'].includes(path) && !optional.includes(path)) {
      response.statusCode = 404;
      response.end('');
      return;
    }
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      requests.push({ path: request.url ?? '', body, headers: request.headers });
      answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, name: `127.0.0.1:${port}`, server, requests };
}

let httpEngine: HttpEngine = 'own';

/** From here on gateways under test speak HTTP by this engine. */
export function useHttpEngine(engine: HttpEngine): void {
  httpEngine = engine;
}

/** A gateway in this process, ready, closed when the test ends. */
export async function startTestGateway(
  t: Cleanup,
  endpoints: readonly string[],
  options: Partial<GatewayOptions> = {},
): Promise<Gateway & { url: string; adminUrl: string }> {
  const gateway = await startGateway({
    port: 0,
    adminPort: 0,
    endpoints,
    policy: { environment: {} },
    log: silent,
    httpEngine,
    ...options,
  });
  t.after(() => gateway.close(0));
  const url = `http://127.0.0.1:${gateway.port}`;
  const adminUrl = `http://127.0.0.1:${gateway.adminPort}`;
  const ready = async (): Promise<boolean> => {
    const listed = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
    return listed.length >= endpoints.length && listed.every((endpoint) => endpoint.ready);
  };
  await until(ready);
  return { ...gateway, url, adminUrl };
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function postJson(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  });
}
