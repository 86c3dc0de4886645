import { SignalboxError } from '../../base/errors.ts';
import type { Endpoint } from '../../scheduler/endpoint.ts';

/** The endpoint a bare `--endpoint URL` (or `host:port`) means; named by its address. */
export function endpointFromUrl(text: string): Endpoint {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.hostname === '') {
    throw new SignalboxError('usage', `--endpoint ${text}: not a URL; write it as http://host:port`);
  }
  if (url.protocol !== 'http:') {
    throw new SignalboxError('usage', `--endpoint ${text}: only http:// is supported, not ${url.protocol}//`);
  }
  if (url.pathname !== '/' && url.pathname !== '/v1' && url.pathname !== '/v1/') {
    throw new SignalboxError(
      'usage',
      `--endpoint ${text}: leave the path ${url.pathname} away; requests bring their own`,
    );
  }
  const address = `${url.hostname}:${url.port === '' ? '80' : url.port}`;
  return { name: address, address, labels: {} };
}
