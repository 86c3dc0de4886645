import { isObject } from './prompt.ts';
import type { ParsedRequest } from './request.ts';
import { insertMember, removeMembers } from './splice.ts';

/**
 * The body of a streamed request with `include_usage` set, so that the stream says at its end what it took; null when
 * it is to stay as it is: it does not stream, usage was asked for already, or setting it would change more than one event.
 */
export function bodyAskingForUsage({ kind, streaming, streamOptions, body }: ParsedRequest): Buffer | null {
  if (!streaming || (kind !== 'completions' && kind !== 'chat')) return null;
  const sent = streamOptions ?? {};
  if (!isObject(sent) || sent['include_usage'] === true) return null;
  // Without `include_usage` engines ignore it; with it, every event would carry usage.
  if (sent['continuous_usage_stats'] === true) return null;
  const name = 'stream_options';
  const others = streamOptions === undefined ? body : removeMembers(body, new Set([name]));
  return insertMember(others, name, JSON.stringify({ ...sent, include_usage: true }));
}
