import { isObject } from '../api/prompt.ts';
import type { Tokens } from './continuation.ts';
import type { Sender } from './upstream.ts';

const limitMs = 1000;
const largestAnswerBytes = 8 * 1024 * 1024;

/**
 * Asks an engine how many tokens a text is (`POST /tokenize` of vLLM and SGLang; llama.cpp calls the text `content`).
 * `counted` is called once, with null when it does not say.
 */
export function countTokens(
  upstream: Sender,
  address: string,
  headers: Readonly<Record<string, string | string[]>>,
  model: unknown,
  text: string,
  counted: (tokens: Tokens | null) => void,
): void {
  const body = Buffer.from(JSON.stringify({ model, prompt: text, content: text, add_special_tokens: false }));
  const request = {
    method: 'POST',
    path: '/tokenize',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  };
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isOk = false;
  const settle = (tokens: Tokens | null): void => {
    clearTimeout(timer);
    call.abort();
    counted(tokens);
  };
  const call = upstream.send(address, request, {
    head: (status) => (isOk = status === 200),
    data: (chunk) => {
      bytes += chunk.length;
      if (bytes > largestAnswerBytes) settle(null);
      else chunks.push(Buffer.from(chunk));
    },
    end: () => settle(isOk ? tokensOf(Buffer.concat(chunks).toString()) : null),
    failed: () => settle(null),
  });
  const timer = setTimeout(() => settle(null), limitMs);
}

function tokensOf(body: string): Tokens | null {
  try {
    const answer: unknown = JSON.parse(body);
    if (!isObject(answer)) return null;
    const { count, tokens } = answer;
    const ids = Array.isArray(tokens) && tokens.every((id) => typeof id === 'number') ? tokens : null;
    if (typeof count === 'number') return { count, ids };
    return ids === null ? null : { count: ids.length, ids };
  } catch {
    return null;
  }
}
