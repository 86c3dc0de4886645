import { request as httpRequest } from 'node:http';
import { model } from './process.ts';

/** What a client asks. */
export interface Question {
  readonly kind: 'completions' | 'chat';
  readonly stream: boolean;
  readonly text: string;
  readonly maxTokens: number;
}

/** What it got: everything that a client can tell. */
export interface Answer {
  /** `failed` says why in `error`; `left` when it was the client who went. */
  readonly end: 'whole' | 'failed' | 'left';
  readonly error: string;
  readonly text: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly finishReason: string;
  readonly milliseconds: number;
}

interface Event {
  choices?: {
    text?: string;
    delta?: { content?: string };
    message?: { content: string };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message: string };
}

function bodyOf({ kind, stream, text, maxTokens }: Question): string {
  const said = kind === 'chat' ? { messages: [{ role: 'user', content: text }] } : { prompt: text };
  const streamed = stream ? { stream: true, stream_options: { include_usage: true } } : {};
  return JSON.stringify({ model, ...said, max_tokens: maxTokens, ...streamed });
}

/** Asks over a connection of its own; ends exactly once, at the latest after `limitMs`. */
export function ask(url: string, question: Question, limitMs: number, leavesAfterMs = Infinity): Promise<Answer> {
  const began = performance.now();
  return new Promise((done) => {
    let text = '';
    let usage = { prompt_tokens: 0, completion_tokens: 0 };
    let finishReason = '';
    let error = '';
    let sawEnd = false;
    const settle = (end: Answer['end'], why = ''): void => {
      clearTimeout(limit);
      clearTimeout(leaving);
      done({
        ...{ end, text, finishReason, error: error === '' ? why : error },
        promptTokens: usage.prompt_tokens,
        completionTokens: usage.completion_tokens,
        milliseconds: performance.now() - began,
      });
      request.destroy();
    };
    const take = (data: string): void => {
      if (data === '[DONE]') {
        sawEnd = true;
        return;
      }
      const event = JSON.parse(data) as Event;
      if (event.error !== undefined) error = event.error.message;
      const choice = event.choices?.[0];
      text += choice?.text ?? choice?.delta?.content ?? choice?.message?.content ?? '';
      finishReason = choice?.finish_reason ?? finishReason;
      usage = event.usage ?? usage;
    };
    const path = question.kind === 'chat' ? '/v1/chat/completions' : '/v1/completions';
    const headers = { 'content-type': 'application/json' };
    const request = httpRequest(`${url}${path}`, { method: 'POST', agent: false, headers }, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        rest += chunk;
        if (!question.stream || response.statusCode !== 200) return;
        const events = rest.split('\n\n');
        rest = events.pop()!;
        for (const event of events) take(event.slice('data: '.length));
      });
      response.on('end', () => {
        if (response.statusCode !== 200) return settle('failed', `${response.statusCode}: ${rest}`);
        if (!question.stream) take(rest);
        if (error !== '') settle('failed');
        else if (question.stream && !sawEnd) settle('failed', 'the stream stopped short');
        else settle('whole');
      });
      response.on('error', () => settle('failed', 'the answer was cut'));
    });
    request.on('error', (cause) => settle('failed', cause.message));
    request.end(bodyOf(question));
    const limit = setTimeout(() => settle('failed', `no end within ${limitMs} ms`), limitMs);
    const leaving = leavesAfterMs === Infinity ? undefined : setTimeout(() => settle('left'), leavesAfterMs);
  });
}
