import { hash, timingSafeEqual } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { sendError } from '../api/respond.ts';
import { SignalboxError } from '../base/errors.ts';

const open = new Set(['/healthz', '/readyz']);

/**
 * Lets through who brings the token, as `Bearer` or, since browsers ask for that themselves, as the password of `Basic`,
 * whatever the name. Health is for everybody.
 */
export function withToken(handle: RequestListener, token: string): RequestListener {
  const right = digest(token);
  return (request, response) => {
    const given = tokenOf(request.headers.authorization);
    const path = request.url?.split('?')[0] ?? '';
    if (open.has(path) || (given !== null && timingSafeEqual(digest(given), right))) return handle(request, response);
    response.setHeader('www-authenticate', ['Basic realm="signalbox", charset="UTF-8"', 'Bearer']);
    sendError(response, new SignalboxError('unauthorized', 'The admin API asks for its token.'));
  };
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

function tokenOf(authorization: string | undefined): string | null {
  const [scheme = '', value = ''] = (authorization ?? '').split(/ +/, 2);
  if (/^bearer$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return null;
  const pair = Buffer.from(value, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}
