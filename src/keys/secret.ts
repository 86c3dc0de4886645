import { hash, randomBytes } from 'node:crypto';

const prefix = 'sk-';
const secretBytes = 32;

/** A new API key: 256 random bits, so that nothing slower than SHA-256 is needed to keep its hash safe. */
export function newKey(): string {
  return prefix + randomBytes(secretBytes).toString('base64url');
}

const hashPrefix = 'sha256:';

/** What is kept of a key: `sha256:` and its digest. */
export function hashOf(key: string): string {
  return hashPrefix + digestOf(key);
}

/** The digest alone, by which keys are found: strings that were put together would be hashed more slowly. */
export function digestOf(key: string): string {
  return hash('sha256', key, 'base64url');
}

export function digestIn(keyHash: string): string {
  return keyHash.slice(hashPrefix.length);
}
