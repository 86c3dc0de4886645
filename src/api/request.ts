import { SignalboxError, messageOf } from '../base/errors.ts';
import { chatPrompt, completionPrompt, emptyPrompt, isObject, type Prompt } from './prompt.ts';
import { conversationOfMessages, conversationOfResponses, type Conversation } from './conversation.ts';
import { parseJson, type LongStrings } from './long-strings.ts';
import { withoutTransferMembers } from './transfer-members.ts';

/** Routes that bring a prompt as text or as a conversation. */
export type PromptKind = 'completions' | 'chat' | 'responses' | 'messages';

export type RequestKind = 'completions' | 'chat' | 'embeddings' | 'other';

/** The few things read from a client's request. Everything else is the engine's to judge. */
export interface ParsedRequest {
  readonly kind: RequestKind;
  /** Empty for kind `other` when the body names none. */
  readonly model: string;
  readonly streaming: boolean;
  /** `stream_options` as it was sent. */
  readonly streamOptions: unknown;
  readonly prompt: Prompt;
  /** How the prompt stands in the body, for whoever turns it into token ids; null where there is no text to turn. */
  readonly promptKind: PromptKind | null;
  readonly maxOutputTokens: number | null;
  /** Whether its next turn is its prompt, its answer and more: one text prompt, one answer that does not repeat it. */
  readonly continuable: boolean;
  /** Whether its prompt may be computed elsewhere: one prompt, one answer, nothing asked about the prompt's own tokens. */
  readonly splittable: boolean;
  /** Part of an engine's cache key: prompts with different salts share nothing. */
  readonly cacheSalt: string | null;
  /** What goes to the engine: the client's bytes, without members that only routers may set. */
  readonly body: Buffer;
}

/** A body's members; where `long` is given, long strings in prompts stand there. */
interface Body {
  readonly fields: Record<string, unknown>;
  readonly long?: LongStrings;
}

/** Members that may have long strings without anybody reading them but to make a prompt of them. */
const promptMembers: ReadonlySet<string> = new Set(['messages', 'tools', 'prompt', 'input']);

/** Null where more than prompts would have to be looked for in them. @throws SyntaxError */
function parseLongBody(body: Buffer): Body | null {
  const { value, long } = parseJson(body);
  return isObject(value) && !long.isEmpty && onlyPromptsHave(long, value) ? { fields: value, long } : null;
}

function onlyPromptsHave(long: LongStrings, fields: Record<string, unknown>): boolean {
  for (const name in fields) {
    const value = fields[name];
    // Several prompts are counted one by one.
    const isOnePrompt =
      promptMembers.has(name) && (typeof value === 'string' || name === 'messages' || name === 'tools');
    if (!isOnePrompt && long.isIn(value)) return false;
  }
  return true;
}

function parseBody(body: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    const reason =
      body.length === 0
        ? 'it is empty'
        : messageOf(error)
            .replace(/, ".*$/s, '')
            .slice(0, 120);
    throw new SignalboxError('body_malformed', `The request body is not valid JSON: ${reason}.`, { cause: error });
  }
  if (!isObject(parsed)) {
    const found = Array.isArray(parsed) ? 'an array' : `a ${parsed === null ? 'null' : typeof parsed}`;
    throw new SignalboxError('request_invalid', `The request body must be a JSON object, not ${found}.`);
  }
  return parsed;
}

function modelOf(fields: Record<string, unknown>): string {
  const model = fields['model'];
  if (typeof model === 'string' && model !== '') return model;
  const found = model === undefined ? 'it is missing' : `it is ${JSON.stringify(model).slice(0, 40)}`;
  throw new SignalboxError('request_invalid', `"model" must be a non-empty string: ${found}.`, { param: 'model' });
}

function outputBound(fields: Record<string, unknown>): number | null {
  for (const name of ['max_completion_tokens', 'max_tokens', 'max_output_tokens', 'n_predict']) {
    const value = fields[name];
    if (typeof value === 'number' && value >= 0) return value;
  }
  return null;
}

function isContinuable(kind: RequestKind, fields: Record<string, unknown>): boolean {
  if ((fields['n'] ?? 1) !== 1 || (fields['best_of'] ?? 1) !== 1) return false;
  if (kind === 'chat') return fields['continue_final_message'] !== true && fields['echo'] !== true;
  return kind === 'completions' && typeof fields['prompt'] === 'string' && fields['echo'] !== true;
}

function isSplittable(kind: RequestKind, fields: Record<string, unknown>): boolean {
  if (kind === 'embeddings' || (fields['n'] ?? 1) !== 1 || (fields['best_of'] ?? 1) !== 1) return false;
  const { echo = false, prompt_logprobs: promptLogprobs = null, use_beam_search: beams = false, prompt } = fields;
  if (echo !== false || promptLogprobs !== null || beams !== false) return false;
  return kind === 'chat' || typeof prompt === 'string' || (Array.isArray(prompt) && typeof prompt[0] === 'number');
}

function promptOf(kind: RequestKind, { fields, long }: Body): Prompt {
  if (kind === 'chat') return chatPrompt(fields['messages'], fields['tools'], long);
  return completionPrompt(kind === 'embeddings' ? fields['input'] : fields['prompt'], long);
}

/**
 * Reads a JSON body of the routes we schedule by content.
 * @throws SignalboxError `body_malformed` or `request_invalid`, in the client's terms.
 */
export function parseRequest(kind: Exclude<RequestKind, 'other'>, body: Buffer): ParsedRequest {
  if (body.length >= leastLongBytes) {
    try {
      const parsed = parseLongBody(body);
      if (parsed !== null) return requestIn(kind, body, parsed);
    } catch (error) {
      // What is wrong is said below, in the body's own words.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return requestIn(kind, body, { fields: parseBody(body) });
}

/** Shorter bodies are parsed whole. */
const leastLongBytes = 2048;

function requestIn(kind: Exclude<RequestKind, 'other'>, body: Buffer, parsed: Body): ParsedRequest {
  const { fields } = parsed;
  const salt = fields['cache_salt'];
  const prompt = promptOf(kind, parsed);
  return {
    kind,
    model: modelOf(fields),
    streaming: fields['stream'] === true,
    streamOptions: fields['stream_options'],
    prompt,
    promptKind: kind === 'embeddings' || prompt.tokens !== null ? null : kind,
    maxOutputTokens: outputBound(fields),
    continuable: isContinuable(kind, fields),
    splittable: isSplittable(kind, fields),
    cacheSalt: typeof salt === 'string' ? salt : null,
    body: withoutTransferMembers(body, fields),
  };
}

/**
 * A request on any other route: placed by the prompt of its conversation where it has one, else by load alone; its model
 * is used when its body happens to name one.
 */
export function parseOther(body: Buffer, contentType: string, promptKind: PromptKind | null = null): ParsedRequest {
  let model = '';
  let streaming = false;
  let conversation: Conversation | null = null;
  let salt: unknown;
  let maxOutputTokens: number | null = null;
  let clean = body;
  if (body.length > 0 && contentType.toLowerCase().includes('json')) {
    try {
      const fields = parseBody(body);
      if (typeof fields['model'] === 'string') model = fields['model'];
      streaming = fields['stream'] === true;
      salt = fields['cache_salt'];
      maxOutputTokens = promptKind === null ? null : outputBound(fields);
      if (promptKind === 'responses') conversation = conversationOfResponses(fields);
      if (promptKind === 'messages') conversation = conversationOfMessages(fields);
      clean = withoutTransferMembers(body, fields);
    } catch {
      // Not for us to judge: the engine answers for its own routes.
    }
  }
  return {
    kind: 'other',
    model,
    streaming,
    streamOptions: undefined,
    prompt: conversation === null ? emptyPrompt : chatPrompt(conversation.messages, conversation.tools),
    promptKind: conversation === null ? null : promptKind,
    maxOutputTokens,
    continuable: false,
    splittable: false,
    cacheSalt: typeof salt === 'string' ? salt : null,
    body: clean,
  };
}
