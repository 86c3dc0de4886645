import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { DecisionJson } from '../../src/journal/decision-schema.ts';
import { model, postJson, startEngine, startStub, startTestGateway, until } from '../support/fleet-under-test.ts';

interface Message {
  role: string;
  content: string;
}

type TestGateway = Awaited<ReturnType<typeof startTestGateway>>;

async function decisionOf(gateway: TestGateway, response: Response): Promise<DecisionJson> {
  const id = response.headers.get('x-signalbox-decision');
  let decision: DecisionJson | null = null;
  await until(async () => {
    decision = (await (await fetch(`${gateway.adminUrl}/api/decisions/${id}`)).json()) as DecisionJson;
    return decision.outcome !== null;
  });
  return decision!;
}

function streamedText(body: string): string {
  return body
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)) as { choices: { delta?: { content?: string }; text?: string }[] })
    .map(({ choices }) => choices[0]?.delta?.content ?? choices[0]?.text ?? '')
    .join('');
}

async function chat(gateway: TestGateway, messages: readonly Message[], stream: boolean) {
  const response = await postJson(`${gateway.url}/v1/chat/completions`, { model, messages, max_tokens: 200, stream });
  const body = await response.text();
  const text = stream
    ? streamedText(body)
    : (JSON.parse(body) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  return { text, decision: await decisionOf(gateway, response) };
}

for (const stream of [false, true]) {
  test(`each turn of a chat finds the one before with its answer (${stream ? 'streamed' : 'whole'})`, async (t) => {
    const engine = await startEngine(t);
    const gateway = await startTestGateway(t, [engine.url]);
    const messages: Message[] = [{ role: 'system', content: 'You explain how trains are routed. '.repeat(20) }];
    let sharedTokens = 0;
    for (let turn = 1; turn <= 3; turn++) {
      messages.push({ role: 'user', content: `Question ${turn}: and then?` });
      const { text, decision } = await chat(gateway, messages, stream);
      const { cachedTokens } = decision.predicted;
      if (turn > 1) {
        // All but the question just asked and, at most, a block at either end of what is shared.
        assert.ok(cachedTokens! > sharedTokens - 40, `turn ${turn}: ${cachedTokens} of ${sharedTokens}`);
        const actual = decision.outcome!.cachedTokens;
        if (!stream) assert.ok(actual! / decision.outcome!.promptTokens! > 0.8, `the engine had ${actual}`);
      } else {
        assert.equal(cachedTokens, 0);
      }
      assert.ok(text.length > 200);
      messages.push({ role: 'assistant', content: text });
      sharedTokens = decision.promptTokens + 200;
    }
  });
}

test('a completion is gone on with from its prompt and its text', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const prompt = 'A story of a signal box, as long as it is told. '.repeat(10);
  const complete = async (more: string) => {
    const response = await postJson(`${gateway.url}/v1/completions`, { model, prompt: more, max_tokens: 200 });
    const { choices } = (await response.json()) as { choices: { text: string }[] };
    return { text: choices[0]!.text, decision: await decisionOf(gateway, response) };
  };
  const first = await complete(prompt);
  const second = await complete(`${prompt}${first.text} And now something else.`);
  assert.ok(second.decision.predicted.cachedTokens! > first.decision.promptTokens + 150);
});

const words = 'told in many words that are the answer of this engine to what was asked '.repeat(8);

/** What the second turn finds cached when the first was answered by `answer`. */
async function secondTurn(t: TestContext, first: object, answer: Parameters<typeof startStub>[1], abort = false) {
  const stub = await startStub(t, answer);
  const gateway = await startTestGateway(t, [stub.url]);
  const messages: Message[] = [{ role: 'user', content: 'A question of some length, asked with care. '.repeat(20) }];
  const leaving = new AbortController();
  const url = `${gateway.url}/v1/chat/completions`;
  const response = await postJson(url, { model, messages, ...first }, { signal: leaving.signal });
  if (abort) {
    const reader = response.body!.getReader();
    await reader.read();
    leaving.abort();
  } else {
    await response.text();
  }
  const { promptTokens, outcome } = await decisionOf(gateway, response);
  messages.push({ role: 'assistant', content: words }, { role: 'user', content: 'And?' });
  const explained = (await (
    await fetch(`${gateway.adminUrl}/api/explain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages }),
    })
  ).json()) as DecisionJson;
  return { promptTokens, outcome: outcome!, cachedTokens: explained.predicted.cachedTokens! };
}

const event = (delta: object): string => `data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`;
const streamHead = { 'content-type': 'text/event-stream' };

test('the answer is counted once its stream has ended well', async (t) => {
  const { promptTokens, cachedTokens } = await secondTurn(t, { stream: true }, (_request, response) => {
    response.writeHead(200, streamHead);
    response.end(`${event({ role: 'assistant', content: '' })}${event({ content: words })}data: [DONE]\n\n`);
  });
  assert.ok(cachedTokens > promptTokens + 100);
});

test('of a stream that breaks, or that its client left, only the prompt is counted', async (t) => {
  const broken = await secondTurn(t, { stream: true }, (request, response) => {
    response.writeHead(200, streamHead);
    response.write(event({ content: words }), () => request.socket.destroy());
  });
  assert.ok(broken.cachedTokens > 0 && broken.cachedTokens <= broken.promptTokens);
  assert.equal(broken.outcome.status, 502);
  const left = await secondTurn(
    t,
    { stream: true },
    (_request, response) => {
      response.writeHead(200, streamHead);
      response.write(event({ content: words }));
    },
    true,
  );
  assert.equal(left.outcome.status, 499);
  assert.ok(left.cachedTokens > 0 && left.cachedTokens <= left.promptTokens);
});

test('a stream that ends cleanly after an error in the middle was not answered', async (t) => {
  const { promptTokens, cachedTokens, outcome } = await secondTurn(t, { stream: true }, (_request, response) => {
    response.writeHead(200, streamHead);
    const error = JSON.stringify({ error: { message: 'the engine died', code: 500 } });
    response.end(`${event({ content: words })}data: ${error}\n\ndata: [DONE]\n\n`);
  });
  assert.equal(outcome.status, 502);
  assert.equal(outcome.e2eSeconds, null);
  assert.ok(cachedTokens > 0 && cachedTokens <= promptTokens);
});

test('answers that the next turn repeats in another form are not counted', async (t) => {
  const answers: object[] = [
    { content: words, reasoning_content: 'Let me think.' },
    { content: words, tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }] },
  ];
  for (const message of answers) {
    const { promptTokens, cachedTokens } = await secondTurn(t, {}, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ choices: [{ index: 0, message }] }));
    });
    assert.ok(cachedTokens > 0 && cachedTokens <= promptTokens);
  }
  const two = await secondTurn(t, { n: 2 }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ choices: [0, 1].map((index) => ({ index, message: { content: words } })) }));
  });
  assert.ok(two.cachedTokens <= two.promptTokens);
});
