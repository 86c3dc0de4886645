import { randomInt } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { PromptKind } from '../../api/request.ts';
import type { TokenizeJob, TokenizeReply } from './worker.ts';

const workerModule = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));
const mostPending = 512;
const mostPendingBytes = 64 * 1024 * 1024;

interface Pending {
  readonly bytes: number;
  done(reply: Pick<TokenizeReply, 'ids' | 'problem'>): void;
}

/** The thread that prompts are encoded on. It is started when first needed, and again should it die. */
export class TokenizerWorker {
  /** So that beginnings of texts that are remembered cannot be guessed from outside. */
  readonly #seed = randomInt(2 ** 32);
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #nextId = 0;
  #pendingBytes = 0;

  /** Ids of the prompt in a request's body; null, with the reason, when they cannot be had, or too much waits already. */
  encode(folder: string, kind: PromptKind, body: Uint8Array): Promise<Pick<TokenizeReply, 'ids' | 'problem'>> {
    if (this.#pending.size >= mostPending || this.#pendingBytes + body.length > mostPendingBytes) {
      return Promise.resolve({ ids: null, problem: 'too many prompts wait for their tokens' });
    }
    const id = this.#nextId++;
    const worker = (this.#worker ??= this.#start());
    // A copy of its own, which then belongs to the other thread.
    const copy = Uint8Array.from(body);
    const job: TokenizeJob = { id, folder, kind, body: copy, seed: this.#seed };
    return new Promise((done) => {
      this.#pending.set(id, { bytes: body.length, done });
      this.#pendingBytes += body.length;
      worker.postMessage(job, [copy.buffer]);
    });
  }

  close(): void {
    void this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    const worker = new Worker(workerModule, { execArgv: ['--disable-warning=ExperimentalWarning'] });
    worker.unref();
    worker.on('message', (reply: TokenizeReply) => this.#settle(reply.id, reply));
    const gone = (problem: string): void => {
      if (this.#worker === worker) this.#worker = null;
      for (const id of [...this.#pending.keys()]) this.#settle(id, { ids: null, problem });
    };
    worker.on('error', (error: Error) => gone(error.message));
    worker.on('exit', () => gone('the tokenizer thread ended'));
    return worker;
  }

  #settle(id: number, reply: Pick<TokenizeReply, 'ids' | 'problem'>): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    this.#pendingBytes -= pending.bytes;
    pending.done(reply);
  }
}
