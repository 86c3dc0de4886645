import type { Tokenizer } from '../../base/bpe.ts';
import { badRequest, EngineError, validationError } from './errors.ts';

type Fields = Record<string, unknown>;

/** A completion or chat request as the engine understands it. */
export interface GenerationRequest {
  readonly kind: 'completions' | 'chat';
  readonly model: string | null;
  /** One or several prompts (completions), as text or token ids. */
  readonly prompts: readonly (string | readonly number[])[];
  readonly addsBos: boolean;
  /** Answers per prompt. */
  readonly n: number;
  /** Null: as many as fit. */
  readonly maxTokens: number | null;
  readonly minTokens: number;
  readonly ignoreEos: boolean;
  readonly stop: readonly string[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly continuousUsage: boolean;
  readonly echo: boolean;
  readonly returnTokenIds: boolean;
  readonly cacheSalt: string | null;
  readonly requestId: string | null;
  /** How its cache goes to another engine, or comes from one. */
  readonly kvTransferParams: Fields | null;
}

/** Parses JSON as vLLM does; anything wrong is a 400 in its words. */
export function parseJson(body: Buffer, contentType: string): Fields {
  if (!/^application\/(.+\+)?json/.test(contentType)) {
    throw new EngineError(
      400,
      'Bad Request',
      "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed",
    );
  }
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1] ?? String(text.length);
    throw validationError(
      'json_invalid',
      `body.${position}`,
      'JSON decode error',
      {},
      ", 'ctx': {'error': 'Expecting value'}",
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw validationError('dict_type', 'body', 'Input should be a valid dictionary', value);
  }
  return value as Fields;
}

export function parseCompletion(fields: Fields): GenerationRequest {
  const { prompt } = fields;
  if (prompt === undefined || prompt === null || prompt === '' || (Array.isArray(prompt) && prompt.length === 0)) {
    throw badRequest('Either prompt or prompt_embeds must be provided and non-empty.', 'prompt');
  }
  return {
    ...common(fields),
    kind: 'completions',
    prompts: promptsOf(prompt),
    addsBos: true,
    maxTokens: tokenBound(fields, 'max_tokens') ?? 16,
    echo: boolean(fields, 'echo'),
  };
}

export function parseChat(fields: Fields): GenerationRequest {
  const { messages } = fields;
  if (messages === undefined) throw validationError('missing', 'body.messages', 'Field required', fields);
  if (!Array.isArray(messages)) {
    throw validationError('list_type', 'body.messages', 'Input should be a valid list', messages);
  }
  return {
    ...common(fields),
    kind: 'chat',
    prompts: [renderChat(messages, fields)],
    addsBos: false,
    maxTokens: tokenBound(fields, 'max_completion_tokens') ?? tokenBound(fields, 'max_tokens'),
    echo: false,
  };
}

function common(fields: Fields): Omit<GenerationRequest, 'kind' | 'prompts' | 'addsBos' | 'maxTokens' | 'echo'> {
  const temperature = number(fields, 'temperature');
  if (temperature !== null && temperature < 0) {
    const shown = Number.isInteger(temperature) ? temperature.toFixed(1) : String(temperature);
    throw badRequest(`temperature must be non-negative, got ${shown}.`, 'temperature', shown);
  }
  const n = integer(fields, 'n') ?? 1;
  if (n < 1) throw badRequest(`n must be at least 1, got ${n}.`, 'n', n);
  if (n > 1 && temperature === 0) throw badRequest(`n must be 1 when using greedy sampling, got ${n}.`);
  if (fields['cache_salt'] === '') {
    throw badRequest("Parameter 'cache_salt' must be a non-empty string if provided.", 'cache_salt');
  }
  const streamOptions = (fields['stream_options'] ?? {}) as Fields;
  return {
    model: string(fields, 'model'),
    n: Math.min(n, 128),
    minTokens: integer(fields, 'min_tokens') ?? 0,
    ignoreEos: boolean(fields, 'ignore_eos'),
    stop: stopStrings(fields['stop']),
    stream: boolean(fields, 'stream'),
    includeUsage: streamOptions['include_usage'] === true,
    continuousUsage: streamOptions['continuous_usage_stats'] === true,
    returnTokenIds: boolean(fields, 'return_token_ids'),
    cacheSalt: string(fields, 'cache_salt'),
    requestId: string(fields, 'request_id'),
    kvTransferParams: dictionary(fields, 'kv_transfer_params'),
  };
}

/** Llama 3's way of writing a chat, which the shipped tokenizer has the special tokens for. */
export function renderChat(messages: readonly unknown[], fields: Fields): string {
  const continues = fields['continue_final_message'] === true;
  const generates = fields['add_generation_prompt'] !== false && !continues;
  let text = '';
  const tools = fields['tools'];
  if (Array.isArray(tools) && tools.length > 0) text += turn('system', JSON.stringify(tools));
  messages.forEach((message, index) => {
    if (typeof message !== 'object' || message === null) {
      throw validationError('dict_type', `body.messages.${index}`, 'Input should be a valid dictionary', message);
    }
    const { role, content, tool_calls: toolCalls } = message as Fields;
    if (typeof role !== 'string') {
      throw validationError('missing', `body.messages.${index}.role`, 'Field required', message);
    }
    const spoken =
      contentText(content) + (toolCalls === undefined || toolCalls === null ? '' : JSON.stringify(toolCalls));
    text += turn(role, spoken);
  });
  if (continues) text = text.slice(0, -endOfTurn.length);
  return generates ? `${text}<|start_header_id|>assistant<|end_header_id|>\n\n` : text;
}

const endOfTurn = '<|eot_id|>';

function turn(role: string, text: string): string {
  return `<|start_header_id|>${role}<|end_header_id|>\n\n${text}${endOfTurn}`;
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part) => {
      const text = (part as Fields | null)?.['text'];
      return typeof text === 'string' ? text : JSON.stringify(part);
    })
    .join('\n');
}

function promptsOf(prompt: unknown): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt];
  if (Array.isArray(prompt)) {
    if (prompt.every((item) => typeof item === 'number')) return [prompt as number[]];
    if (prompt.every((item) => typeof item === 'string')) return prompt as string[];
    if (prompt.every((item) => Array.isArray(item) && item.every((id) => typeof id === 'number'))) {
      return prompt as number[][];
    }
  }
  throw validationError('string_type', 'body.prompt', 'Input should be a valid string', prompt);
}

/** Token ids of a prompt; one out of the vocabulary is a 400. */
export function checkTokens(tokens: readonly number[], tokenizer: Tokenizer): void {
  for (const id of tokens) {
    if (!Number.isInteger(id) || id < 0 || id >= tokenizer.vocabularySize) {
      throw badRequest(`Token id ${id} is out of vocabulary`);
    }
  }
}

function tokenBound(fields: Fields, name: string): number | null {
  const value = integer(fields, name);
  if (value !== null && value < 1) throw badRequest(`${name} must be at least 1, got ${value}.`, name, value);
  return value;
}

function integer(fields: Fields, name: string): number | null {
  const value = fields[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  if (typeof value === 'string') {
    if (/^-?\d+$/.test(value)) return Number(value);
    const message = 'Input should be a valid integer, unable to parse string as an integer';
    throw validationError('int_parsing', `body.${name}`, message, value);
  }
  throw validationError('int_type', `body.${name}`, 'Input should be a valid integer', value);
}

function number(fields: Fields, name: string): number | null {
  const value = fields[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return value;
  const message = 'Input should be a valid number, unable to parse string as a number';
  throw validationError('float_parsing', `body.${name}`, message, value);
}

function string(fields: Fields, name: string): string | null {
  const value = fields[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  throw validationError('string_type', `body.${name}`, 'Input should be a valid string', value);
}

function dictionary(fields: Fields, name: string): Fields | null {
  const value = fields[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Fields;
  throw validationError('dict_type', `body.${name}`, 'Input should be a valid dictionary', value);
}

function boolean(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (value === undefined || value === null) return false;
  if (typeof value === 'boolean') return value;
  const message = 'Input should be a valid boolean, unable to interpret input';
  throw validationError('bool_parsing', `body.${name}`, message, value);
}

function stopStrings(stop: unknown): string[] {
  const list = Array.isArray(stop) ? stop : [stop];
  return list.filter((item): item is string => typeof item === 'string' && item !== '');
}
