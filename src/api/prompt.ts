import { LongStrings } from './long-strings.ts';

/**
 * A prompt as bytes for block hashing. Not what an engine's template would make of it: it need only be the same
 * for the same beginning. Texts are UTF-8, token ids four little-endian bytes each (so a block is 16 tokens).
 */
export interface Prompt {
  readonly bytes: Uint8Array;
  /** Length of all texts of the request in UTF-8 bytes; embedded media are not counted. */
  readonly textBytes: number;
  /** Length of the first prompt's text in characters (for people). */
  readonly characters: number;
  /** Exact length in tokens when the client sent token ids, else null. */
  readonly tokens: number | null;
}

const noLongStrings = new LongStrings(Buffer.alloc(0), []);

export const emptyPrompt: Prompt = { bytes: new Uint8Array(0), textBytes: 0, characters: 0, tokens: 0 };

function textPrompt(text: string, otherBytes = 0, long: LongStrings = noLongStrings): Prompt {
  const { bytes, characters } = long.expanded(text);
  return { bytes, textBytes: bytes.byteLength + otherBytes, characters, tokens: null };
}

function isTokenIds(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((token: unknown) => typeof token === 'number');
}

function tokenPrompt(tokens: readonly number[], otherTokens = 0): Prompt {
  const bytes = new Uint8Array(Uint32Array.from(tokens).buffer);
  return { bytes, textBytes: 0, characters: 0, tokens: tokens.length + otherTokens };
}

/**
 * `prompt` of completions or `input` of embeddings: a string, token ids, or an array of either.
 * Texts that are long may stand in `long`; of several prompts none may.
 * Of several prompts the first is the one whose prefix counts; the length is that of all.
 */
export function completionPrompt(prompt: unknown, long?: LongStrings): Prompt {
  if (typeof prompt === 'string') return textPrompt(prompt, 0, long);
  if (!Array.isArray(prompt)) return emptyPrompt;
  const parts: readonly unknown[] = prompt;
  if (isTokenIds(parts)) return tokenPrompt(parts);
  const [first, ...others] = parts;
  if (typeof first === 'string') {
    let otherBytes = 0;
    for (const other of others) if (typeof other === 'string') otherBytes += Buffer.byteLength(other);
    return textPrompt(first, otherBytes);
  }
  if (isTokenIds(first)) {
    let otherTokens = 0;
    for (const other of others) if (Array.isArray(other)) otherTokens += other.length;
    return tokenPrompt(first, otherTokens);
  }
  return emptyPrompt;
}

interface Rendering {
  text: string;
  mediaCharacters: number;
}

function renderPart(part: unknown, into: Rendering, long: LongStrings): void {
  if (typeof part === 'string') {
    into.text += part;
  } else if (isObject(part)) {
    if (typeof part['text'] === 'string') {
      into.text += part['text'];
    } else {
      // An image or the like: it distinguishes prompts, but its bytes are no measure of its tokens.
      const media = JSON.stringify(part);
      into.text += media;
      into.mediaCharacters += long.expanded(media).characters;
    }
  }
}

/** `messages` and `tools` of a chat, tools first, as chat templates put them; their long texts may stand in `long`. */
export function chatPrompt(messages: unknown, tools: unknown, long: LongStrings = noLongStrings): Prompt {
  if (!Array.isArray(messages)) return emptyPrompt;
  const rendering: Rendering = { text: '', mediaCharacters: 0 };
  if (Array.isArray(tools) && tools.length > 0) rendering.text += JSON.stringify(tools) + '\n';
  for (const message of messages as unknown[]) {
    if (!isObject(message)) continue;
    const { role, content, tool_calls: toolCalls } = message;
    rendering.text += `<|${typeof role === 'string' ? role : ''}|>\n`;
    if (Array.isArray(content)) for (const part of content) renderPart(part, rendering, long);
    else renderPart(content, rendering, long);
    if (toolCalls !== undefined && toolCalls !== null) rendering.text += JSON.stringify(toolCalls);
    rendering.text += '\n';
  }
  const prompt = textPrompt(rendering.text, 0, long);
  return { ...prompt, textBytes: Math.max(0, prompt.textBytes - rendering.mediaCharacters) };
}

/** What an answer adds to a prompt: the bytes that the conversation's next turn has after it. */
export function answerBytes(kind: 'completions' | 'chat', text: string): Uint8Array {
  return Buffer.from(kind === 'chat' ? `<|assistant|>\n${text}\n` : text);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
