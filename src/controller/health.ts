import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { metricsText } from '../base/metrics.ts';
import type { ControllerMetrics } from './metrics.ts';

/** /healthz and /readyz (whoever does not lead is ready to) and /metrics. @throws SignalboxError when the port is taken */
export async function serveHealth(
  { host, port }: { readonly host: string; readonly port: number },
  metrics: ControllerMetrics,
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz' || path === '/readyz') response.end('ok\n');
    else if (path === '/metrics') {
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
      response.end(metricsText(metrics.families()));
    } else response.writeHead(404).end();
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new SignalboxError('environment', `--port ${port}: ${messageOf(error)}`);
  }
  return server;
}
