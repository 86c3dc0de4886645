import { SignalboxError } from '../../base/errors.ts';
import type { Endpoint } from '../../scheduler/endpoint.ts';

/** The endpoint a bare `--endpoint URL` (or `host:port`) means; named by its address. */
export function endpointFromUrl(text: string): Endpoint {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.hostname === '') {
    throw new SignalboxError('usage', `--endpoint ${text}: not a URL; write it as http://host:port`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new SignalboxError('usage', `--endpoint ${text}: http:// or https:// is needed, not ${url.protocol}//`);
  }
  if (url.pathname !== '/' && url.pathname !== '/v1' && url.pathname !== '/v1/') {
    throw new SignalboxError(
      'usage',
      `--endpoint ${text}: leave the path ${url.pathname} away; requests bring their own`,
    );
  }
  const address = `${url.hostname}:${url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80'}`;
  return { name: address, address, labels: {} };
}

/** Whether engines are spoken to by TLS, which the URLs of all say alike. @throws SignalboxError `usage` */
export function areSecure(urls: readonly string[]): boolean {
  const secure = urls.filter((url) => url.startsWith('https://'));
  if (secure.length === 0 || secure.length === urls.length) return secure.length > 0;
  throw new SignalboxError('usage', '--endpoint: either all engines are https:// or none is');
}
