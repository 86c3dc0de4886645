import { isObject } from '../api/prompt.ts';
import { insertMember, removeMembers } from '../api/splice.ts';
import type { StreamSoFar } from './stream-so-far.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The rest of a stream, as it is asked for at another endpoint. */
export interface Rest {
  readonly body: Buffer;
  /** Tokens of the answer so far that have gone into the prompt. */
  readonly saidTokens: number;
  /** Nothing more is to be said: asked only for how it ends. */
  readonly isOver: boolean;
  /** Whether white space at the end of what was said has been left out, for chat templates trim it. */
  readonly isTrimmed: boolean;
}

/** Text in tokens, as an engine counts it; ids where it gives them. */
export interface Tokens {
  readonly count: number;
  readonly ids: readonly number[] | null;
}

/** Half of a character, or a token that is none: what the engine has in its place cannot be told from it. */
const replacementCharacter = '\ufffd';
/** The API's own default for completions (OpenAI's reference; vLLM and SGLang have the same). */
const defaultCompletionTokens = 16;

/**
 * How the rest of a broken answer is asked for, from the request and what the client already has: completions with the
 * text so far behind the prompt, chats with it as a last message to be continued (`continue_final_message`, as vLLM and
 * SGLang call it). `reasonAgainst` knows where that would not give what an unbroken answer would have been.
 */
export class Continuation {
  readonly kind: 'completions' | 'chat';
  readonly #body: Buffer;
  readonly #fields: Fields;

  /** `body` is the request's, valid JSON. */
  constructor(kind: 'completions' | 'chat', body: Buffer) {
    this.kind = kind;
    this.#body = body;
    this.#fields = JSON.parse(body.toString()) as Fields;
  }

  get model(): unknown {
    return this.#fields['model'];
  }

  get stops(): readonly string[] {
    const { stop } = this.#fields;
    return (Array.isArray(stop) ? stop : [stop]).filter((each): each is string => typeof each === 'string');
  }

  /** Why the answer cannot go on from what was said, in a few words; null when it can. */
  reasonAgainst(soFar: StreamSoFar): string | null {
    const fields = this.#fields;
    if (isMoreThan(fields['n'], 1) || isMoreThan(fields['best_of'], 1)) return 'it has several answers';
    if (soFar.text.unlike !== null) return `it has ${soFar.text.unlike}`;
    // As long as nothing was said, the same may simply be asked again.
    if (!hasBegun(soFar)) return null;
    if (fields['echo'] === true) return 'it repeats the prompt (echo)';
    if (wantsLogprobs(fields)) return 'it has log probabilities';
    if (isStructured(fields)) return 'its form is prescribed';
    if (isForced(fields['tool_choice'])) return 'it has tool calls';
    if (isMoreThan(fields['min_tokens'], 0)) return 'min_tokens counts what was said';
    if (isSet(fields['presence_penalty']) || isSet(fields['frequency_penalty']))
      return 'a penalty counts what was said';
    if (isSet(fields['truncate_prompt_tokens'])) return 'its prompt is cut to size';
    if (this.#tokenIds(soFar) !== null) {
      return soFar.endsUnsaid ? 'it was cut in the middle of a character' : null;
    }
    if (soFar.text.said.includes(replacementCharacter)) return 'it has characters that are not whole';
    if (this.kind === 'completions') return isOnePrompt(fields['prompt']) ? null : 'it has several prompts';
    if (isSet(fields['audio'])) return 'it has sound';
    return this.#messages('') === null ? 'its last message cannot be added to' : null;
  }

  /** The text whose tokens `rest` needs to know; null when it knows. */
  uncounted(soFar: StreamSoFar): string | null {
    return hasBegun(soFar) && this.#tokenIds(soFar) === null ? this.#said(soFar) : null;
  }

  /** Asks for what comes after what was said. `said` is `uncounted`'s text in tokens; where not known, events count. */
  rest(soFar: StreamSoFar, said: Tokens | null): Rest | null {
    if (!hasBegun(soFar) && soFar.finishReason === null) {
      return { body: this.#with({}), saidTokens: 0, isOver: false, isTrimmed: false };
    }
    const exact = this.#tokenIds(soFar);
    const saidTokens = exact?.length ?? said?.count ?? soFar.tokenEvents;
    const limit = this.#limit(saidTokens);
    const leftTokens = limit === null ? null : limit.tokens - saidTokens;
    const isOver = soFar.finishReason !== null || (leftTokens !== null && leftTokens <= 0);
    const asked = this.#prompt(soFar, exact, said);
    if (asked === null) return null;
    const bound = isOver ? 1 : leftTokens;
    const name = limit?.name ?? (isOver ? 'max_tokens' : null);
    return {
      body: this.#with({ ...asked, ...(name === null || bound === null ? {} : { [name]: bound }) }),
      saidTokens,
      isOver,
      isTrimmed: exact === null && this.kind === 'chat',
    };
  }

  #prompt(soFar: StreamSoFar, exact: readonly number[] | null, said: Tokens | null): Fields | null {
    if (this.kind === 'chat') {
      const messages = this.#messages(this.#said(soFar));
      return messages === null ? null : { messages, continue_final_message: true, add_generation_prompt: false };
    }
    const { prompt } = this.#fields;
    if (exact !== null) return { prompt: [...(soFar.promptTokenIds ?? []), ...exact] };
    if (typeof prompt === 'string') return { prompt: prompt + this.#said(soFar) };
    return said === null || said.ids === null ? null : { prompt: [...(prompt as number[]), ...said.ids] };
  }

  #said(soFar: StreamSoFar): string {
    const { said } = soFar.text;
    return this.kind === 'chat' ? said.trimEnd() : said;
  }

  /** The answer's tokens where the client's events carried them and they are all that matters. */
  #tokenIds(soFar: StreamSoFar): readonly number[] | null {
    if (this.kind !== 'completions' || soFar.promptTokenIds === null || soFar.tokenIds.length === 0) return null;
    // Engines hold text back that may begin a stop string, but not its tokens.
    return this.stops.length === 0 ? soFar.tokenIds : null;
  }

  /** The chat with what was said at its end; null when its own last message cannot be added to. */
  #messages(said: string): readonly unknown[] | null {
    const { messages } = this.#fields;
    if (!Array.isArray(messages)) return null;
    if (this.#fields['continue_final_message'] !== true) return [...messages, { role: 'assistant', content: said }];
    const last: unknown = messages.at(-1);
    if (!isObject(last) || typeof last['content'] !== 'string') return null;
    return [...messages.slice(0, -1), { ...last, content: last['content'] + said }];
  }

  #limit(saidTokens: number): { readonly name: string; readonly tokens: number } | null {
    for (const name of this.kind === 'chat' ? ['max_completion_tokens', 'max_tokens'] : ['max_tokens']) {
      const tokens = this.#fields[name];
      if (typeof tokens === 'number') return { name, tokens };
    }
    // An engine that has said more already has another default.
    const tokens = defaultCompletionTokens;
    return this.kind === 'completions' && saidTokens <= tokens ? { name: 'max_tokens', tokens } : null;
  }

  /** The request with `changes` in place of what it had, and usage asked for; every other byte as it came. */
  #with(changes: Fields): Buffer {
    const sent = this.#fields['stream_options'];
    const members = { ...changes, stream_options: { ...(isObject(sent) ? sent : {}), include_usage: true } };
    let body = removeMembers(this.#body, new Set(Object.keys(members)));
    for (const [name, value] of Object.entries(members)) body = insertMember(body, name, JSON.stringify(value));
    return body;
  }
}

function hasBegun(soFar: StreamSoFar): boolean {
  return soFar.text.said !== '' || soFar.tokenIds.length > 0;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== 0 && value !== false;
}

function isMoreThan(value: unknown, limit: number): boolean {
  return typeof value === 'number' && value > limit;
}

function isOnePrompt(prompt: unknown): boolean {
  if (typeof prompt === 'string') return true;
  return Array.isArray(prompt) && prompt.every((token: unknown) => typeof token === 'number');
}

function wantsLogprobs(fields: Fields): boolean {
  // A number of completions' log probabilities counts the others: 0 still asks for the token's own.
  return typeof fields['logprobs'] === 'number' || fields['logprobs'] === true || isSet(fields['prompt_logprobs']);
}

function isStructured(fields: Fields): boolean {
  const format = fields['response_format'];
  if (isObject(format) && format['type'] !== 'text') return true;
  return Object.keys(fields).some(
    (name) => (name === 'structured_outputs' || name.startsWith('guided_')) && isSet(fields[name]),
  );
}

/** Whether a tool must be called, so that the answer is one from its first token. */
function isForced(choice: unknown): boolean {
  return choice === 'required' || isObject(choice);
}
