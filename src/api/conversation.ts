import { isObject } from './prompt.ts';

/** A conversation as chat templates take it. */
export interface Conversation {
  readonly messages: readonly unknown[];
  readonly tools: unknown;
}

/** Anthropic's `/v1/messages`: the system prompt stands beside the messages. Null when it is none. */
export function conversationOfMessages(fields: Readonly<Record<string, unknown>>): Conversation | null {
  const { system, messages, tools } = fields;
  if (!Array.isArray(messages)) return null;
  const first = system === undefined || system === null ? [] : [{ role: 'system', content: textOf(system) }];
  const functions = Array.isArray(tools)
    ? tools.filter(isObject).map(({ name, description, input_schema: parameters }) => ({
        type: 'function',
        function: { name, description, parameters },
      }))
    : undefined;
  return { messages: [...first, ...(messages as unknown[])], tools: functions };
}

/**
 * OpenAI's `/v1/responses`: instructions, then a text or a list of items. Null when what came before is kept by the
 * engine, so that the prompt is not known here.
 */
export function conversationOfResponses(fields: Readonly<Record<string, unknown>>): Conversation | null {
  const { instructions, input, tools, previous_response_id: previous } = fields;
  if (previous !== undefined && previous !== null) return null;
  const first = typeof instructions === 'string' ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return { messages: [...first, { role: 'user', content: input }], tools };
  if (!Array.isArray(input)) return null;
  const items = (input as unknown[]).filter(isObject);
  if (items.some(({ type }) => type !== undefined && type !== 'message')) return null;
  return { messages: [...first, ...items.map(({ role, content }) => ({ role, content: textOf(content) }))], tools };
}

/** Texts of a list of parts, as engines join them; anything else stays as it is. */
function textOf(content: unknown): unknown {
  if (!Array.isArray(content)) return content;
  const parts = (content as unknown[]).filter(isObject);
  return parts.every(({ text }) => typeof text === 'string') ? parts.map(({ text }) => text).join('\n') : content;
}
