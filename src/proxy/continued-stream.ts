import { isObject } from '../api/prompt.ts';
import { usageOf, type Usage } from '../api/usage.ts';
import type { Rest } from './continuation.ts';
import { eventEnd } from './event-end.ts';
import { dataOf } from './event-filter.ts';
import type { Seam } from './seam.ts';
import { firstChoice, type StreamSoFar } from './stream-so-far.ts';

type Fields = Record<string, unknown>;

/** Thrown at what cannot be made one answer with what was said before. */
export class SeamError extends Error {}

/**
 * Makes the events that another endpoint answers with go on where the stream was broken: the same id, no second
 * beginning, and usage that counts what was said before as completion, not as prompt.
 */
export class ContinuedStream {
  readonly #soFar: StreamSoFar;
  readonly #rest: Rest;
  readonly #seam: Seam;
  readonly #write: (event: Buffer) => void;
  readonly #hadPromptTokenIds: boolean;
  #bytes: Buffer = Buffer.alloc(0);
  usage: Usage | null = null;

  constructor(soFar: StreamSoFar, rest: Rest, seam: Seam, write: (event: Buffer) => void) {
    this.#soFar = soFar;
    this.#rest = rest;
    this.#seam = seam;
    this.#write = write;
    this.#hadPromptTokenIds = soFar.promptTokenIds !== null;
  }

  /** @throws SeamError */
  push(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#bytes, chunk]);
    for (let end = eventEnd(bytes, 0); end >= 0; end = eventEnd(bytes, 0)) {
      this.#event(bytes.subarray(0, end));
      bytes = bytes.subarray(end);
    }
    this.#bytes = bytes;
  }

  #event(event: Buffer): void {
    const data = dataOf(event);
    if (!isObject(data)) return this.#write(event);
    // Engines say that they cannot go on in an event; whoever feeds this stream sees to it.
    if ('error' in data) return;
    const answer = this.#joined(data);
    if (answer === null) return;
    this.#soFar.add(answer);
    this.#write(Buffer.from(`data: ${JSON.stringify(answer)}\n\n`));
  }

  /** The event as one of the stream that was broken; null when it adds nothing to it. */
  #joined(data: Fields): Fields | null {
    const answer: Fields = {
      ...data,
      id: this.#soFar.id ?? data['id'],
      created: this.#soFar.created ?? data['created'],
    };
    if (isObject(data['usage'])) {
      answer['usage'] = this.#joinedUsage(data['usage']);
      this.usage = usageOf(answer);
    }
    if (this.#hadPromptTokenIds && 'prompt_token_ids' in answer) answer['prompt_token_ids'] = null;
    const choice = firstChoice(data);
    if (choice === null) return answer;
    const joined = this.#joinedChoice(choice);
    if (joined === null) return null;
    answer['choices'] = [joined];
    return answer;
  }

  #joinedChoice(choice: Fields): Fields | null {
    const { delta } = choice;
    const said = isObject(delta) ? delta : choice;
    const name = said === choice ? 'text' : 'content';
    const text = typeof said[name] === 'string' ? said[name] : '';
    const isLast = typeof choice['finish_reason'] === 'string';
    if (this.#rest.isOver) return this.#lastOf(choice, said, name, isLast);
    if ('role' in said && text === '' && !isLast && this.#soFar.choiceEvents > 0) return null;
    const next = this.#seam.take(text, isLast);
    if (next === null) throw new SeamError('a stop string lies across the break');
    const spoken: Fields = { ...said, [name]: next };
    if (this.#soFar.choiceEvents > 0) delete spoken['role'];
    const joined: Fields = said === choice ? spoken : { ...choice, delta: spoken };
    if (this.#hadPromptTokenIds && 'prompt_token_ids' in joined) joined['prompt_token_ids'] = null;
    return joined;
  }

  /** All was said before: of what comes only the end is passed on, and that once. */
  #lastOf(choice: Fields, said: Fields, name: string, isLast: boolean): Fields | null {
    if (!isLast || this.#soFar.finishReason !== null) return null;
    const silent: Fields = { ...said, [name]: '' };
    const end = { finish_reason: 'length', stop_reason: null, token_ids: null };
    return said === choice ? { ...silent, ...end } : { ...choice, delta: silent, ...end };
  }

  #joinedUsage(usage: Fields): Fields {
    const { saidTokens, isOver } = this.#rest;
    const promptTokens = Math.max(0, numberOf(usage['prompt_tokens']) - saidTokens);
    const completionTokens = saidTokens + (isOver ? 0 : numberOf(usage['completion_tokens']));
    const details = usage['prompt_tokens_details'];
    const joined: Fields = {
      ...usage,
      prompt_tokens: promptTokens,
      total_tokens: promptTokens + completionTokens,
      completion_tokens: completionTokens,
    };
    if (isObject(details) && typeof details['cached_tokens'] === 'number') {
      joined['prompt_tokens_details'] = { ...details, cached_tokens: Math.min(details['cached_tokens'], promptTokens) };
    }
    return joined;
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
