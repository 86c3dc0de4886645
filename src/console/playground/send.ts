export interface Question {
  readonly model: string;
  readonly kind: 'chat' | 'completions';
  readonly turns: readonly Turn[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly stream: boolean;
}

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** What the answer's head says of the decision that placed it. */
export interface Placed {
  readonly decisionId: string | null;
  readonly endpoint: string | null;
}

interface Told {
  placed(placed: Placed): void;
  text(more: string): void;
}

/** The body of an OpenAI request that asks it. */
export function bodyOf({ model, kind, turns, maxTokens, temperature, stream }: Question): string {
  const asked = kind === 'chat' ? { messages: turns } : { prompt: turns.map(({ content }) => content).join('\n') };
  return JSON.stringify({ model, ...asked, max_tokens: maxTokens, temperature, stream });
}

/** Sends it through the gateway and tells of the answer as it comes. @throws Error in words when it fails. */
export async function send(question: Question, told: Told, signal: AbortSignal): Promise<void> {
  const path = question.kind === 'chat' ? '/v1/chat/completions' : '/v1/completions';
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(path, { method: 'POST', headers, body: bodyOf(question), signal });
  told.placed({
    decisionId: response.headers.get('x-signalbox-decision'),
    endpoint: response.headers.get('x-signalbox-endpoint'),
  });
  if (!response.ok) throw new Error(await troubleOf(response));
  if (question.stream && response.body !== null) {
    for await (const data of eventsOf(response.body)) {
      if (data === '[DONE]') return;
      const event = JSON.parse(data) as Answer;
      if (event.error !== undefined) throw new Error(event.error.message);
      told.text(textOf(event));
    }
  } else {
    told.text(textOf((await response.json()) as Answer));
  }
}

interface Answer {
  readonly error?: { readonly message: string };
  readonly choices?: readonly {
    readonly text?: string;
    readonly delta?: { readonly content?: string | null };
    readonly message?: { readonly content?: string | null };
  }[];
}

function textOf({ choices }: Answer): string {
  const first = choices?.[0];
  return first?.text ?? first?.delta?.content ?? first?.message?.content ?? '';
}

async function troubleOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as Answer | null;
  return `${response.status}: ${body?.error?.message ?? response.statusText}`;
}

/** The data of each server-sent event. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trimStart();
  }
}
