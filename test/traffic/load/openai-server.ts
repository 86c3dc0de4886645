import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Received {
  readonly path: string;
  readonly sessionToken: string | undefined;
  readonly body: Record<string, unknown>;
}

type Answer = (received: Received, response: ServerResponse) => void;

/** A server that speaks just enough of the OpenAI API; `answer` says how POSTs are answered. */
export async function startOpenAiServer(
  t: TestContext,
  answer: Answer,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/v1/models') {
      response.setHeader('content-type', 'application/json').end('{"object":"list","data":[{"id":"toy/model"}]}');
      return;
    }
    if (request.method !== 'POST') {
      response.writeHead(404).end();
      return;
    }
    void readBody(request).then((body) => {
      const token = request.headers['x-session-token'];
      const one = {
        path: request.url ?? '',
        sessionToken: typeof token === 'string' ? token : undefined,
        body: JSON.parse(body) as Record<string, unknown>,
      };
      received.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export const usage = { prompt_tokens: 100, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 40 } };

/** A whole answer, streamed or not, as was asked for. */
export function answerWell(endpoint: string, reason: string): Answer {
  return ({ path, body }, response) => {
    response.setHeader('x-signalbox-endpoint', endpoint).setHeader('x-signalbox-reason', reason);
    const isChat = path.includes('chat');
    if (body['stream'] !== true) {
      const choice = isChat ? { message: { content: 'a b c' } } : { text: 'a b c' };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ choices: [choice], usage }));
      return;
    }
    response.setHeader('content-type', 'text/event-stream; charset=utf-8');
    const send = (event: object): boolean => response.write(`data: ${JSON.stringify(event)}\n\n`);
    if (isChat) send({ choices: [{ delta: { role: 'assistant', content: '' } }] });
    for (const word of ['a', ' b', ' c']) send({ choices: [isChat ? { delta: { content: word } } : { text: word }] });
    send({ choices: [], usage });
    response.end('data: [DONE]\n\n');
  };
}
