import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { temporaryFolder } from '../support/command.ts';
import { a, startDnsServer } from '../support/dns-server.ts';
import { model, startStub, until } from '../support/fleet-under-test.ts';
import { DataPlane, requestBody, requestHeaders, setHeaders, startTestEpp } from './wire-client.ts';

const body = JSON.stringify({ model, prompt: 'Say something.' });

async function destination(t: TestContext, address: string): Promise<string[]> {
  const plane = new DataPlane(t, address);
  plane.send(requestHeaders(), requestBody(body));
  const set = setHeaders(await plane.next(), 'request_headers');
  return set['x-gateway-destination-endpoint']!.split(',').sort();
}

async function ready(adminUrl: string): Promise<string[]> {
  const listed = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { address: string; ready: boolean }[];
  return listed
    .filter((each) => each.ready)
    .map((each) => each.address)
    .sort();
}

test("llm-d's discovery file, IPv6 too, is followed as it changes; a bad one changes nothing", async (t) => {
  const four = await startStub(t, (_request, response) => response.end());
  const six = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ object: 'list', data: [{ id: model }] }));
  });
  await new Promise<void>((done) => six.listen(0, '::1', done));
  t.after(() => {
    six.closeAllConnections();
    six.close();
  });
  const sixPort = (six.address() as AddressInfo).port;
  const fourPort = four.name.split(':')[1]!;
  const path = join(temporaryFolder(t), 'endpoints.yaml');
  const write = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const both = `endpoints:
  - { name: pod-4, namespace: default, address: 127.0.0.1, port: "${fourPort}", labels: { llm-d.ai/role: decode } }
  - { name: pod-6, namespace: default, address: "::1", port: "${sixPort}" }
`;
  write(both);
  const epp = await startTestEpp(t, [], { endpointsFile: path });
  await until(async () => (await ready(epp.adminUrl)).length === 2);
  assert.deepEqual(await destination(t, epp.address), [`127.0.0.1:${fourPort}`, `[::1]:${sixPort}`]);
  write(both.replace('"::1"', 'not:an:address'));
  await assert.rejects(epp.reload(), /endpoints\.yaml:3/);
  assert.equal((await ready(epp.adminUrl)).length, 2);
  write(both.split('\n').slice(0, 2).join('\n'));
  await until(async () => (await ready(epp.adminUrl)).length === 1);
  assert.deepEqual(await destination(t, epp.address), [`127.0.0.1:${fourPort}`]);
});

test('endpoints by DNS', async (t) => {
  const engine = await startStub(t, (_request, response) => response.end());
  const { address } = await startDnsServer(t, new Map([['engines.example', [a('127.0.0.1')]]]));
  const endpointsDns = [`engines.example:${engine.name.split(':')[1]}`];
  const epp = await startTestEpp(t, [], { endpointsDns, dnsServers: [address] });
  await until(async () => (await ready(epp.adminUrl)).length === 1);
  assert.deepEqual(await destination(t, epp.address), [engine.name]);
});

test('a rewritten model: the body says it, the rest of it is as it was, its length is told', async (t) => {
  const engine = await startStub(t, (_request, response) => response.end());
  const path = join(temporaryFolder(t), 'objects.yaml');
  writeFileSync(
    path,
    `apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: { name: alias }
spec:
  poolRef: { name: pool }
  rules: [{ matches: [{ model: { value: alias } }], targets: [{ modelRewrite: "${model}" }] }]
`,
  );
  const epp = await startTestEpp(t, [engine.url], { objectsFiles: [path] });
  const plane = new DataPlane(t, epp.address);
  plane.send(requestHeaders(), requestBody('{"model":"alias",  "prompt":"\\u0041"}'));
  const set = setHeaders(await plane.next(), 'request_headers');
  const { response } = (await plane.next())['request_body'] as {
    response: { body_mutation: { streamed_response: { body: Buffer } } };
  };
  const sent = response.body_mutation.streamed_response.body.toString();
  assert.equal(sent, `{"model":"${model}","prompt":"\\u0041"}`);
  assert.equal(set['content-length'], String(sent.length));
  const metrics = await (await fetch(`${epp.adminUrl}/metrics`)).text();
  assert.match(
    metrics,
    /model_rewrite_decisions_total\{model_rewrite_name="alias",model_name="alias",target_model="toy\/model"\} 1/,
  );
});
