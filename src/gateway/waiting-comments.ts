import { errorEvent } from '../api/errors.ts';
import type { SignalboxError } from '../base/errors.ts';
import type { ClientResponse } from '../proxy/exchange.ts';
import type { Decision } from '../scheduler/decision.ts';

/** Who waits for less is told nothing: with the first comment the answer's head goes out. */
const firstMs = 1000;
const everyMs = 2000;

/**
 * Tells a stream that waits where it stands, in SSE comments (which clients pass over): `: position=3, expected=4.1s`.
 * Once it has told anything the status is 200, so that what goes wrong later comes as an error event.
 */
export class WaitingComments {
  readonly #client: ClientResponse;
  readonly #requestId: string;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;

  constructor(client: ClientResponse, requestId: string) {
    this.#client = client;
    this.#requestId = requestId;
  }

  /** `ahead` gives what is ahead of it now, null when it does not wait. */
  start(ahead: () => Decision['admission']['ahead']): void {
    if (ahead() === null) return;
    const say = (): void => {
      const now = ahead();
      if (now === null || this.#client.destroyed) return;
      if (!this.#hasBegun) {
        this.#hasBegun = true;
        this.#client.writeHead(200, {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-cache',
          'x-request-id': this.#requestId,
        });
      }
      const expected = Number.isNaN(now.seconds) ? 'unknown' : `${now.seconds.toFixed(1)}s`;
      const isRead = this.#client.write(Buffer.from(`: position=${now.requests + 1}, expected=${expected}\n\n`));
      // Who does not read is told nothing more until it does.
      if (isRead) this.#timer = setTimeout(say, everyMs);
      else this.#client.onceDrained(() => (this.#timer = setTimeout(say, everyMs)));
    };
    this.#timer = setTimeout(say, firstMs);
  }

  /** It waits no longer. Gives the client's end of the answer. */
  stop(): ClientResponse {
    clearTimeout(this.#timer);
    return this.#hasBegun ? begunStream(this.#client) : this.#client;
  }

  /** It is turned away: true when that was said here, because the head has gone out. */
  refused(error: SignalboxError): boolean {
    clearTimeout(this.#timer);
    if (this.#hasBegun) this.#client.end(errorEvent(error));
    return this.#hasBegun;
  }
}

/** An answer whose head has gone out: our own headers come as comments, an answer that is no stream as an error event. */
function begunStream(client: ClientResponse): ClientResponse {
  let body: Buffer[] | null = null;
  return {
    get headersSent() {
      return client.headersSent;
    },
    get destroyed() {
      return client.destroyed;
    },
    onceDrained: (step) => client.onceDrained(step),
    onceLeft: (step) => client.onceLeft(step),
    destroy: () => client.destroy(),
    writeHead(status, headers) {
      const own = Object.entries(headers).filter(([name]) => name.startsWith('x-signalbox-'));
      client.write(Buffer.from(`${own.map(([name, value]) => `: ${name}: ${String(value)}\n`).join('')}\n`));
      if (status !== 200) body = [];
    },
    write(bytes) {
      if (body === null) return client.write(bytes);
      body.push(bytes);
      return true;
    },
    end(bytes) {
      if (body === null) return client.end(bytes);
      if (bytes !== undefined) body.push(Buffer.from(bytes));
      const line = Buffer.concat(body)
        .toString()
        .replaceAll(/\s*\n\s*/g, ' ');
      client.end(`data: ${line}\n\ndata: [DONE]\n\n`);
    },
  };
}
