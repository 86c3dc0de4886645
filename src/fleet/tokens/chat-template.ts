import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { isObject } from '../../api/prompt.ts';

/** What of a chat request a template sees. */
interface ChatInput {
  readonly messages: readonly unknown[];
  readonly tools: unknown;
  readonly addGenerationPrompt: boolean;
  /** `chat_template_kwargs`. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** A model's way of writing a conversation as text. */
export type ChatTemplate = (chat: ChatInput) => string;

/** Reads the template beside a `tokenizer.json`; null when there is none. */
export function loadChatTemplate(folder: string): ChatTemplate | null {
  const config = readJson(join(folder, 'tokenizer_config.json'));
  const ofModel = join(folder, 'chat_template.jinja');
  const given = config['chat_template'];
  const source = existsSync(ofModel)
    ? readFileSync(ofModel, 'utf8')
    : typeof given === 'string'
      ? given
      : defaultOf(given);
  if (source === null) return null;
  const template = new Template(source);
  const tokens: Record<string, unknown> = {};
  for (const name of ['bos_token', 'eos_token', 'unk_token', 'pad_token']) tokens[name] = tokenText(config[name]);
  // Some templates go through a message's parts themselves; the others are given one text.
  const takesParts = /\bin\s+\w+(\.content|\[['"]content['"]\])/.test(source);
  return ({ messages, tools, addGenerationPrompt, extra }) =>
    template.render({
      ...tokens,
      tools: Array.isArray(tools) && tools.length > 0 ? (tools as unknown[]) : undefined,
      add_generation_prompt: addGenerationPrompt,
      ...extra,
      messages: messages.map((message) => forTemplate(message, takesParts)),
    });
}

/** A message as engines hand it to templates: parts joined or all texts as parts, arguments of calls as objects. */
function forTemplate(message: unknown, takesParts: boolean): unknown {
  if (!isObject(message)) return message;
  const { content, tool_calls: calls, ...rest } = message;
  const made: Record<string, unknown> = { ...rest };
  if (takesParts) made['content'] = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  else made['content'] = Array.isArray(content) ? (content as unknown[]).map(partText).join('\n') : content;
  if (Array.isArray(calls) && calls.length > 0) made['tool_calls'] = (calls as unknown[]).map(callForTemplate);
  return made;
}

function partText(part: unknown): string {
  if (typeof part === 'string') return part;
  return isObject(part) && typeof part['text'] === 'string' ? part['text'] : '';
}

function callForTemplate(call: unknown): unknown {
  if (!isObject(call) || !isObject(call['function'])) return call;
  const args = call['function']['arguments'];
  if (typeof args !== 'string') return call;
  try {
    return { ...call, function: { ...call['function'], arguments: JSON.parse(args) as unknown } };
  } catch {
    return call;
  }
}

/** Several templates by name: the one that is used when none is asked for. */
function defaultOf(given: unknown): string | null {
  if (!Array.isArray(given)) return null;
  const named = (given as unknown[]).filter(isObject).find(({ name }) => name === 'default');
  return typeof named?.['template'] === 'string' ? named['template'] : null;
}

function tokenText(token: unknown): unknown {
  return isObject(token) ? token['content'] : (token ?? undefined);
}

export function readJson(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {};
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return isObject(value) ? value : {};
}
