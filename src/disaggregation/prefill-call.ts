import { usageOf } from '../api/usage.ts';
import type { Sender, TransportFailure, UpstreamCall, UpstreamRequest } from '../proxy/upstream.ts';

/** `refused`: the request itself is at fault, and whoever decodes it will say so. */
export type PrefillFailure = TransportFailure | 'server-error' | 'busy' | 'refused';

interface Patience {
  readonly patienceMs: number;
  readonly isGone: boolean;
}

interface PrefillHandlers {
  answered(status: number, answer: Buffer, cachedTokens: number | null): void;
  failed(status: number | null, failure: PrefillFailure, reason: string): void;
}

const lookMs = 500;
/** Parameters of a transfer name each block: a prompt of a million tokens takes half of this. */
const largestAnswerBytes = 4 * 1024 * 1024;

/** The prefill leg's request, up to the end of its answer. */
export class PrefillCall {
  readonly #call: UpstreamCall;
  readonly #timer: NodeJS.Timeout;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #over = false;

  constructor(
    sender: Sender,
    address: string,
    request: UpstreamRequest,
    patience: Patience,
    handlers: PrefillHandlers,
  ) {
    const fail = (status: number | null, failure: PrefillFailure, reason: string): void => {
      if (this.#end()) handlers.failed(status, failure, reason);
    };
    const startedAtMs = performance.now();
    const { patienceMs } = patience;
    this.#timer = setInterval(
      () => {
        const isLate = performance.now() - startedAtMs >= patienceMs;
        if (!isLate && !patience.isGone) return;
        this.#call.abort();
        fail(null, 'timeout', isLate ? `no answer in ${Math.round(patienceMs / 1000)} s` : 'it does not answer');
      },
      Math.min(lookMs, patienceMs),
    );
    this.#call = sender.send(address, request, {
      head: (status) => {
        this.#status = status;
      },
      data: (chunk) => {
        this.#bytes += chunk.length;
        if (this.#bytes <= largestAnswerBytes) this.#chunks.push(Buffer.from(chunk));
        else this.#chunks.length = 0;
      },
      end: () => {
        const status = this.#status;
        if (status === 429 || status === 503) return fail(status, 'busy', 'busy');
        if (status >= 500) return fail(status, 'server-error', 'server error');
        if (status >= 400) return fail(status, 'refused', 'refused the request');
        if (!this.#end()) return;
        const answer = Buffer.concat(this.#chunks);
        handlers.answered(status, answer, cachedTokensOf(answer));
      },
      failed: (failure, reason) => fail(null, failure, reason),
    });
  }

  abort(): void {
    if (this.#end()) this.#call.abort();
  }

  /** False when it was over already. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    clearInterval(this.#timer);
    return true;
  }
}

function cachedTokensOf(answer: Buffer): number | null {
  try {
    return usageOf(JSON.parse(answer.toString()))?.cachedTokens ?? null;
  } catch {
    return null;
  }
}
