import { createHash } from 'node:crypto';
import type { Random } from '../base/random.ts';

/** Kubernetes' alphabet for generated names: no vowels, so that no words arise, and nothing that looks alike. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** What follows the model in the longest name made from it: `-prefill-` + template hash (10) + `-` + suffix (5). */
const longestTail = 25;
const longestName = 63;

/**
 * The stem of every object of a model: `meta-llama/Llama-3.2-3B-Instruct` → `meta-llama-llama-3-2-3b-instruct`.
 * A legal Kubernetes name even with the tail of a pod's name; a name that must be cut ends in a hash of the whole, so
 * that two long names never meet.
 */
export function modelObjectName(modelName: string): string {
  const stem = modelName
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const room = longestName - longestTail;
  if (stem.length <= room) return stem;
  const hash = createHash('sha256').update(modelName).digest('hex').slice(0, 6);
  return `${stem.slice(0, room - 7).replace(/-$/, '')}-${hash}`;
}

/** Ten characters that change whenever `template` does, as in `…-decode-7d4f959d99-4h8bc`. */
export function templateHash(template: unknown): string {
  return safeHash(JSON.stringify(template), 10);
}

/** The last five characters of a pod's name. */
export function podSuffix(random: Random): string {
  return Array.from({ length: 5 }, () => alphabet[random.below(alphabet.length)]).join('');
}

function safeHash(text: string, length: number): string {
  const digest = createHash('sha256').update(text).digest();
  return Array.from(digest.subarray(0, length), (byte) => alphabet[byte % alphabet.length]).join('');
}
