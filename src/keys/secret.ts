import { hash, randomBytes } from 'node:crypto';

const prefix = 'sk-';
const secretBytes = 32;

/** A new API key: 256 random bits, so that nothing slower than SHA-256 is needed to keep its hash safe. */
export function newKey(): string {
  return prefix + randomBytes(secretBytes).toString('base64url');
}

/** What is kept of a key: `sha256:` and its digest. */
export function hashOf(key: string): string {
  return `sha256:${hash('sha256', key, 'base64url')}`;
}
