import type { IncomingMessage } from 'node:http';
import { SignalboxError } from '../base/errors.ts';

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Refuses requests that a web page elsewhere could have caused: whose `Host` is not ours (DNS rebinding) or whose
 * `Origin` is another site (cross-site requests).
 */
export function checkOrigin(request: IncomingMessage, boundHost: string): void {
  const host = request.headers.host;
  const bound = boundHost.includes(':') ? `[${boundHost}]` : boundHost;
  // Bound to every address, the box is meant to be reached by names it cannot know; same-origin is still asked for.
  const anyHost = boundHost === '0.0.0.0' || boundHost === '::';
  const name = host === undefined ? null : (URL.parse(`http://${host}`)?.hostname ?? null);
  if (name === null || !(anyHost || loopbackNames.has(name) || name === bound)) {
    throw new SignalboxError('request_invalid', `The admin API does not answer to the host name "${host ?? ''}".`, {
      param: 'host',
    });
  }
  const { origin } = request.headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host) {
    throw new SignalboxError('request_invalid', 'The admin API does not answer other web pages.', { param: 'origin' });
  }
}
