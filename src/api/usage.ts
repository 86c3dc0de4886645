import { isObject } from './prompt.ts';

/** What an engine says a request took; null where it does not say. */
export interface Usage {
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly cachedTokens: number | null;
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The `usage` of an answer or of a stream's event; null when it has none. */
export function usageOf(answer: unknown): Usage | null {
  if (!isObject(answer) || !isObject(answer['usage'])) return null;
  const usage = answer['usage'];
  const details = usage['prompt_tokens_details'];
  return {
    promptTokens: count(usage['prompt_tokens']),
    completionTokens: count(usage['completion_tokens']),
    cachedTokens: isObject(details) ? count(details['cached_tokens']) : null,
  };
}

/** The error an engine put where an answer should be: its message and, when it says so, its status. */
export function engineError(answer: unknown): { message: string; status: number } | null {
  if (!isObject(answer)) return null;
  const error = answer['error'];
  if (typeof error === 'string') return { message: error, status: 500 };
  if (!isObject(error)) return null;
  const code = error['code'];
  return {
    message: typeof error['message'] === 'string' ? error['message'] : 'no message',
    status: typeof code === 'number' && code >= 400 && code < 600 ? code : 500,
  };
}
