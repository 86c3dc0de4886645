import type { IncomingMessage, ServerResponse } from 'node:http';
import { asSignalboxError } from '../api/errors.ts';
import { sendError } from '../api/respond.ts';
import { SignalboxError } from '../base/errors.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const open = new Set(['/healthz', '/readyz']);
const loopback = /^(::ffff:)?127\.|^::1$/;

/**
 * Lets through who comes from this machine (`kubectl exec`, `kubectl port-forward`), who asks only for health, and whose
 * `authorization` is `allowed`.
 */
export function authenticated(
  handle: Handle,
  allowed: (authorization: string | undefined) => Promise<boolean>,
): Handle {
  return (request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    if (open.has(path) || loopback.test(request.socket.remoteAddress ?? '')) return handle(request, response);
    allowed(request.headers.authorization).then(
      (isAllowed) => {
        if (isAllowed) return handle(request, response);
        response.setHeader('www-authenticate', 'Bearer');
        const what =
          'This needs the bearer token of somebody who may get /metrics (a ClusterRole with that nonResourceURL).';
        sendError(response, new SignalboxError('unauthorized', what));
      },
      (error: unknown) => sendError(response, asSignalboxError(error)),
    );
  };
}
