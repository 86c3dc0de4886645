import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Session tokens: the endpoint's name and a keyed hash of it, so that a client can come back to its endpoint but cannot
 * name one itself. `base64url(name).base64url(HMAC-SHA256(key, name))`
 */
export class SessionTokens {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  tokenFor(endpoint: string): string {
    return `${Buffer.from(endpoint).toString('base64url')}.${this.#mac(endpoint).toString('base64url')}`;
  }

  /** The endpoint a token names; null when it is not one of ours. */
  endpointOf(token: string): string | null {
    const [name, mac] = token.split('.');
    if (name === undefined || mac === undefined) return null;
    const endpoint = Buffer.from(name, 'base64url').toString();
    const given = Buffer.from(mac, 'base64url');
    const right = this.#mac(endpoint);
    return given.length === right.length && timingSafeEqual(given, right) ? endpoint : null;
  }

  #mac(endpoint: string): Buffer {
    return createHmac('sha256', this.#key).update(endpoint).digest();
  }
}
