import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { conversationOfMessages, conversationOfResponses, type Conversation } from '../../api/conversation.ts';
import { isObject } from '../../api/prompt.ts';
import type { PromptKind } from '../../api/request.ts';
import { loadTokenizer } from '../../base/bpe.ts';
import { loadChatTemplate, readJson, type ChatTemplate } from './chat-template.ts';
import { TextMemo } from './text-memo.ts';

/** A text to hold our own encoder against the library's: scripts, spaces, numbers, code. */
const sample =
  'The quick brown fox, naïve café, 12345.678 items;\n\n  if (x >= 10) { return "äöü"; }\t你好，世界 🙂 don\'t   stop\r\n';

/**
 * Turns requests into the token ids that the model's engine makes of them, by the model's own `tokenizer.json` and chat
 * template. Byte-level BPE is encoded by our own encoder, which remembers beginnings; anything else by the library.
 */
export class PromptTokenizer {
  readonly #encodeText: (text: string) => Uint32Array;
  /** Ids that a completion's prompt begins with. */
  readonly #prefix: readonly number[];
  readonly #template: ChatTemplate | null;

  /** Reads what a folder holds. Throws when it cannot be used. */
  constructor(folder: string, seed: number) {
    const path = join(folder, 'tokenizer.json');
    const file: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const library = new LibraryTokenizer(file as object, readJson(join(folder, 'tokenizer_config.json')));
    const encode = (text: string, special = false): number[] =>
      library.encode(text, { add_special_tokens: special }).ids;
    const withSpecial = encode('a', true);
    const plain = encode('a');
    this.#prefix = withSpecial.slice(0, withSpecial.length - plain.length);
    if (withSpecial.slice(this.#prefix.length).join() !== plain.join()) throw new Error('it adds tokens at the end');
    const own = ownEncoder(path, seed);
    this.#encodeText =
      own !== null && own(sample).join() === encode(sample).join() ? own : (text) => Uint32Array.from(encode(text));
    this.#template = loadChatTemplate(folder);
  }

  /** Ids of a request's (first) prompt; null when it cannot be told here: media, a template of its own, no text. */
  idsOf(kind: PromptKind, body: unknown): Uint32Array | null {
    if (!isObject(body)) return null;
    if (kind !== 'completions') return this.#chatIds(kind, body);
    const { prompt } = body;
    const text: unknown = Array.isArray(prompt) ? prompt[0] : prompt;
    if (typeof text !== 'string') return null;
    const ids = this.#encodeText(text);
    if (this.#prefix.length === 0 || body['add_special_tokens'] === false) return ids;
    const all = new Uint32Array(this.#prefix.length + ids.length);
    all.set(this.#prefix);
    all.set(ids, this.#prefix.length);
    return all;
  }

  #chatIds(kind: PromptKind, body: Record<string, unknown>): Uint32Array | null {
    const chat = conversationOf(kind, body);
    if (this.#template === null || chat === null || chat.messages.some(hasMedia)) return null;
    if (body['chat_template'] !== undefined || body['continue_final_message'] === true) return null;
    if (body['documents'] !== undefined || body['add_special_tokens'] === true) return null;
    const text = this.#template({
      messages: chat.messages,
      tools: body['tool_choice'] === 'none' ? undefined : chat.tools,
      addGenerationPrompt: body['add_generation_prompt'] !== false,
      extra: isObject(body['chat_template_kwargs']) ? body['chat_template_kwargs'] : {},
    });
    return this.#encodeText(text);
  }
}

function ownEncoder(path: string, seed: number): ((text: string) => Uint32Array) | null {
  try {
    const memo = new TextMemo(loadTokenizer(path), seed);
    return (text) => memo.encode(text);
  } catch {
    return null;
  }
}

function conversationOf(kind: PromptKind, body: Record<string, unknown>): Conversation | null {
  if (kind === 'messages') return conversationOfMessages(body);
  if (kind === 'responses') return conversationOfResponses(body);
  const { messages, tools } = body;
  return Array.isArray(messages) ? { messages: messages as unknown[], tools } : null;
}

function hasMedia(message: unknown): boolean {
  if (!isObject(message) || !Array.isArray(message['content'])) return false;
  return (message['content'] as unknown[]).some((part) => isObject(part) && typeof part['text'] !== 'string');
}
