/** Turns prompts into token ids, away from the event loop that serves requests; told what to do by `prompt-tokens.ts`. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../base/errors.ts';
import type { PromptKind } from '../../api/request.ts';
import { PromptTokenizer } from './prompt-tokenizer.ts';

/** A request's body to encode with the tokenizer in `folder`. */
export interface TokenizeJob {
  readonly id: number;
  readonly folder: string;
  readonly kind: PromptKind;
  readonly body: Uint8Array;
  readonly seed: number;
}

export interface TokenizeReply {
  readonly id: number;
  readonly ids: Uint32Array | null;
  /** What went wrong, where something did. */
  readonly problem: string | null;
}

const tokenizers = new Map<string, PromptTokenizer>();

parentPort!.on('message', (job: TokenizeJob) => {
  let reply: TokenizeReply;
  try {
    reply = { id: job.id, ids: idsOf(job), problem: null };
  } catch (error) {
    reply = { id: job.id, ids: null, problem: messageOf(error) };
  }
  parentPort!.postMessage(reply, reply.ids === null ? [] : [reply.ids.buffer as ArrayBuffer]);
});

function idsOf({ folder, kind, body, seed }: TokenizeJob): Uint32Array | null {
  let tokenizer = tokenizers.get(folder);
  if (tokenizer === undefined) {
    tokenizer = new PromptTokenizer(folder, seed);
    tokenizers.set(folder, tokenizer);
  }
  return tokenizer.idsOf(kind, JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()));
}
