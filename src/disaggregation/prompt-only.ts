import { editMembers } from '../api/splice.ts';
import { isObject } from '../api/prompt.ts';

/** How each route whose prompt may be computed elsewhere spells its bound on output tokens. */
const boundsByPath: Readonly<Record<string, readonly string[]>> = {
  '/v1/completions': ['max_tokens'],
  '/v1/chat/completions': ['max_tokens', 'max_completion_tokens'],
  '/v1/messages': ['max_tokens'],
  '/v1/responses': ['max_output_tokens'],
  '/inference/v1/generate': [],
};

const everyBound = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n_predict'];

/** Whether requests on this path (with or without a query) have a prompt that may be computed elsewhere. */
export function hasPrompt(path: string): boolean {
  return pathOf(path) in boundsByPath;
}

/**
 * A request's body for an engine that is to compute the prompt and stop: one token, whole, in every spelling of the bound.
 * That token must not end the answer (`min_tokens`), or vLLM takes it for finished and hands nothing over.
 */
export function promptOnly(path: string, body: Buffer): Buffer {
  const set: Record<string, unknown> = { stream: false, min_tokens: 1 };
  for (const name of boundsByPath[pathOf(path)] ?? []) set[name] = 1;
  if (pathOf(path) === '/inference/v1/generate') {
    const { sampling_params: sampling } = JSON.parse(body.toString()) as Record<string, unknown>;
    delete set['min_tokens'];
    set['sampling_params'] = { ...(isObject(sampling) ? sampling : {}), max_tokens: 1, min_tokens: 1 };
  }
  return editMembers(body, ['stream_options', ...everyBound], set);
}

function pathOf(path: string): string {
  return path.replace(/\?.*$/s, '');
}
