import { createHash } from 'node:crypto';
import type { ModelService } from './model-service.ts';

const longestName = 63;
/** What a Deployment adds to its own name for its pods: `-` + template hash (10) + `-` + suffix (5). */
const podTail = 17;
const hashLength = 8;

/**
 * `stem` and `tail` as one name of at most `longest` characters. A stem that must be cut ends in a hash of the whole, so that two
 * long stems, or two tails of one stem, never meet.
 */
export function childName(stem: string, tail: string, longest = longestName): string {
  if (stem.length + tail.length <= longest) return stem + tail;
  const hash = createHash('sha256').update(stem).digest('hex').slice(0, hashLength);
  return `${stem.slice(0, longest - tail.length - hashLength - 1).replace(/[-.]+$/, '')}-${hash}${tail}`;
}

/** How the objects made for a ModelService are called. */
export interface Names {
  /** Value of `llm-d.ai/model`. */
  readonly model: string;
  readonly decode: string;
  readonly prefill: string;
  readonly epp: string;
  readonly decodeService: string;
  readonly prefillService: string;
  readonly eppService: string;
  readonly inferencePool: string;
  readonly httpRoute: string;
  readonly serviceAccount: string;
  readonly eppServiceAccount: string;
}

export function namesOf({ name }: Pick<ModelService, 'name'>): Names {
  // Dots are good in a ModelService's name and not in a Service's or a host's.
  const stem = name.replaceAll('.', '-') === name ? name : childName(name.replaceAll('.', '-'), shortHash(name));
  const deployment = (tail: string): string => childName(stem, tail, longestName - podTail);
  return {
    model: childName(stem, ''),
    decode: deployment('-decode'),
    prefill: deployment('-prefill'),
    epp: deployment('-epp'),
    decodeService: childName(stem, '-service-decode'),
    prefillService: childName(stem, '-service-prefill'),
    eppService: childName(stem, '-epp-service'),
    inferencePool: childName(stem, '-inference-pool'),
    httpRoute: childName(stem, '-route'),
    serviceAccount: childName(stem, '-sa'),
    eppServiceAccount: childName(stem, '-epp-sa'),
  };
}

function shortHash(text: string): string {
  return `-${createHash('sha256').update(text).digest('hex').slice(0, 4)}`;
}
