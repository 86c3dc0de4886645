import type { IncomingHttpHeaders } from 'node:http';
import { canonicalAddress } from '../base/address.ts';
import type { Target } from '../disaggregation/connector.ts';
import type { PrefillLeg } from '../disaggregation/legs.ts';
import type { PrefillFailure } from '../disaggregation/prefill-call.ts';
import { oldPrefillHeader, prefillHeader, type PrefillReport } from '../disaggregation/prefill-headers.ts';

/** Endpoints tried before the engine here computes the prompt. */
const mostTried = 2;

/** Whether the prompt may be sent to this address. */
export type Allows = (address: string) => boolean;

/** The prefill that a request's headers ask for, tried where that is allowed, and how it went. */
export class RequestedPrefill {
  readonly #targets: readonly Target[];
  readonly #patienceMs: number;
  readonly #attempts: PrefillReport['attempts'] = [];
  #cachedTokens: number | null = null;
  #answeredAtMs = 0;

  private constructor(targets: readonly Target[], patienceMs: number) {
    this.#targets = targets;
    this.#patienceMs = patienceMs;
  }

  /** `refused` hears of addresses asked for that are not allowed, or are none: nothing is sent there. */
  static of(
    headers: IncomingHttpHeaders,
    { allows, patienceMs, refused }: { allows: Allows; patienceMs: number; refused: (text: string) => void },
  ): RequestedPrefill {
    const asked = headers[prefillHeader] ?? headers[oldPrefillHeader] ?? [];
    const targets: Target[] = [];
    const request = new RequestedPrefill(targets, patienceMs);
    for (const text of String(asked).split(',').slice(0, 16)) {
      if (text.trim() === '') continue;
      const address = canonicalAddress(text.trim().replace(/^http:\/\//, ''));
      if (address !== null && allows(address)) targets.push({ name: address, address });
      else {
        refused(text.slice(0, 100));
        request.#attempts.push({ status: null, failure: 'refused', reason: 'not an endpoint of this pool' });
      }
    }
    return request;
  }

  /** The leg for one sending of the request: parameters of a transfer are used up by the one before. */
  leg(): PrefillLeg {
    const left = this.#targets.slice(0, mostTried);
    let endpoint = left.shift() ?? null;
    return {
      get endpoint() {
        return endpoint;
      },
      patienceMs: this.#patienceMs,
      isGone: false,
      answered: (status, cachedTokens) => {
        endpoint = null;
        this.#cachedTokens = cachedTokens;
        this.#answeredAtMs = performance.now();
        this.#attempts.push({ status, failure: null, reason: 'answered' });
      },
      failed: (status: number | null, failure: PrefillFailure, reason: string) => {
        this.#attempts.push({ status, failure, reason });
        endpoint = failure === 'refused' ? null : (left.shift() ?? null);
        return endpoint;
      },
    };
  }

  /** Null when no prefill was asked for. */
  report(): PrefillReport | null {
    if (this.#attempts.length === 0) return null;
    const agoMs = this.#answeredAtMs === 0 ? 0 : Math.round(performance.now() - this.#answeredAtMs);
    return { attempts: this.#attempts.slice(-4), cachedTokens: this.#cachedTokens, agoMs };
  }
}
