import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { createTraces } from '../../src/door/traces.ts';
import { model, postJson, startStub, until } from '../support/fleet-under-test.ts';
import { repository } from '../support/command.ts';

interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  events?: { name: string }[];
}

/** An OTLP receiver over HTTP, as a collector has one; keeps every span it gets. */
async function startReceiver(t: TestContext): Promise<{ url: string; spans: ReceivedSpan[]; services: Set<unknown> }> {
  const spans: ReceivedSpan[] = [];
  const services = new Set<unknown>();
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      const body = JSON.parse(text) as {
        resourceSpans: {
          resource: { attributes: ReceivedSpan['attributes'] };
          scopeSpans: { spans: ReceivedSpan[] }[];
        }[];
      };
      for (const { resource, scopeSpans } of body.resourceSpans) {
        services.add(resource.attributes.find(({ key }) => key === 'service.name')?.value['stringValue']);
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, services };
}

/** `signalbox gateway` as a process of its own, because OpenTelemetry reads that process's environment. */
async function startTraced(t: TestContext, endpoint: string, otlpUrl: string): Promise<string> {
  const child = spawn(
    process.execPath,
    ['src/cli/main.ts', 'gateway', '--port', '0', '--admin-port', '0', '--endpoint', endpoint],
    {
      cwd: repository,
      env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl, OTEL_BSP_SCHEDULE_DELAY: '50' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.after(() => child.kill());
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port } = JSON.parse(line) as { msg: string; port?: number };
    if (msg !== 'listening') continue;
    child.stdout.resume();
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${url}/readyz`)).status === 200);
    return url;
  }
  return assert.fail('the gateway ended');
}

const attribute = ({ attributes }: ReceivedSpan, name: string): unknown =>
  Object.values(attributes.find(({ key }) => key === name)?.value ?? {})[0];

test('a collector gets whole traces: the caller above, the decision, the engine below', async (t) => {
  const receiver = await startReceiver(t);
  const engine = await startStub(t, (_request, response, body) => {
    const usage = { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } };
    response.statusCode = body.includes('"fail"') ? 500 : 200;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ choices: [{ text: ' a' }], usage }));
  });
  const url = await startTraced(t, engine.url, receiver.url);
  const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
  const headers = { traceparent: `00-${caller.traceId}-${caller.spanId}-01`, tracestate: 'vendor=1' };
  const answer = await postJson(`${url}/v1/completions`, { model, prompt: 'x', max_tokens: 2 }, { headers });
  const own = await postJson(`${url}/v1/completions`, { model, prompt: 'fail', max_tokens: 2 });
  const refused = await postJson(`${url}/v1/completions`, { model: 'none', prompt: 'x' });
  assert.deepEqual([answer.status, own.status, refused.status], [200, 500, 404]);
  await until(() => receiver.spans.filter(({ name }) => name === 'gateway.request').length === 3);

  assert.deepEqual([...receiver.services], ['signalbox']);
  const traces = [...Map.groupBy(receiver.spans, ({ traceId }) => traceId).values()];
  assert.equal(traces.length, 3);
  const whole = receiver.spans.filter(({ traceId }) => traceId === caller.traceId);
  const only = (name: string): ReceivedSpan => {
    const found = whole.filter((span) => span.name === name);
    assert.equal(found.length, 1, name);
    return found[0]!;
  };
  const root = only('gateway.request');
  const orchestration = only('gateway.request_orchestration');
  const profile = only('run_scheduler_profile');
  const forward = only('forward_request');
  assert.equal(whole.length, 4);
  assert.equal(root.parentSpanId, caller.spanId);
  assert.equal(orchestration.parentSpanId, root.spanId);
  assert.equal(profile.parentSpanId, orchestration.spanId);
  assert.equal(forward.parentSpanId, root.spanId);
  for (const { startTimeUnixNano, endTimeUnixNano } of whole) {
    assert.ok(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano));
  }

  const decision = answer.headers.get('x-signalbox-decision');
  assert.equal(attribute(orchestration, 'signalbox.decision'), decision);
  assert.equal(attribute(orchestration, 'signalbox.picked'), engine.name);
  assert.equal(attribute(root, 'http.response.status_code'), 200);
  assert.equal(attribute(root, 'signalbox.cached_tokens'), 4);
  assert.equal(attribute(forward, 'server.address'), engine.name);
  assert.deepEqual(
    forward.events!.map(({ name }) => name),
    ['attempt'],
  );
  // The engine's spans hang below ours.
  const [first, second] = engine.requests;
  assert.equal(first!.headers['traceparent'], `00-${caller.traceId}-${forward.spanId}-01`);
  assert.equal(first!.headers['tracestate'], 'vendor=1');
  const failed = receiver.spans.find(
    (span) => second!.headers['traceparent'] === `00-${span.traceId}-${span.spanId}-01`,
  );
  assert.equal(failed?.name, 'forward_request', 'a request without a trace begins one');
});

test('nothing is set up where nobody asks for it', async () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
  assert.equal(await createTraces({}), null);
  assert.equal(await createTraces({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), null);
  assert.equal(await createTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), null);
  const traces = await createTraces(endpoint);
  assert.notEqual(traces, null);
  // What is no W3C context is not taken up, and harms nothing.
  for (const traceparent of [
    '',
    'x',
    '00-0-0-0',
    `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
    `ff-${'1'.repeat(32)}`,
  ]) {
    traces!.begin('r', '/v1/completions', { traceparent, tracestate: 'a=b' }).ended(499, null);
  }
});
