import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { readPools } from '../../src/cli/pools-file.ts';
import { temporaryFolder } from '../support/command.ts';
import { startEngine, until } from '../support/fleet-under-test.ts';
import {
  answerBody,
  answerHeaders,
  DataPlane,
  requestBody,
  requestHeaders,
  setHeaders,
  startTestEpp,
} from './wire-client.ts';

const destination = 'x-gateway-destination-endpoint';

function addressOf({ port }: { readonly port: number }): string {
  return `127.0.0.1:${port}`;
}

test('several pools: a request goes to the one that the data plane names, else to the one that serves its model', async (t) => {
  const small = await startEngine(t, { model: 'small' });
  const large = await startEngine(t, { model: 'large' });
  const folder = temporaryFolder(t);
  const file = join(folder, 'pools.yaml');
  const rewrite = {
    ...{ apiVersion: 'llm-d.ai/v1alpha2', kind: 'InferenceModelRewrite', metadata: { name: 'nick' } },
    spec: {
      poolRef: { name: 'b' },
      rules: [{ matches: [{ model: { value: 'nickname' } }], targets: [{ modelRewrite: 'large' }] }],
    },
  };
  writeFileSync(join(folder, 'objects.yaml'), JSON.stringify(rewrite));
  writeFileSync(
    file,
    JSON.stringify({
      pools: [
        { name: 'a', endpoints: [small.url] },
        { name: 'b', endpoints: [large.url], objectsFiles: ['objects.yaml'] },
      ],
    }),
  );
  const epp = await startTestEpp(t, [], { pools: await readPools(file) });
  await until(async () => {
    const listed = await Promise.all(
      ['a', 'b'].map(async (pool) => (await fetch(`${epp.adminUrl}/pools/${pool}/readyz`)).ok),
    );
    return listed.every((ready) => ready);
  });
  const ask = async (model: string, pool?: string): Promise<string | undefined> => {
    const metadata = new Metadata();
    if (pool !== undefined) metadata.set('x-signalbox-pool', pool);
    const plane = new DataPlane(t, epp.address, metadata);
    plane.send(requestHeaders(), requestBody(JSON.stringify({ model, prompt: 'x' })));
    const first = await plane.next();
    if (!('request_headers' in first)) return undefined;
    await plane.next();
    plane.send(answerHeaders(200, 'application/json'), answerBody('{}', true));
    plane.stream.end();
    await until(() => plane.ended !== null);
    return setHeaders(first, 'request_headers')[destination];
  };
  assert.equal(await ask('small'), addressOf(small));
  assert.equal(await ask('large'), addressOf(large));
  assert.equal(await ask('nickname'), addressOf(large));
  assert.equal(await ask('large', 'b'), addressOf(large));
  // Of the pool that was named, and of no other.
  assert.equal(await ask('large', 'a'), undefined);

  const decisions = async (pool: string): Promise<unknown[]> =>
    (await (await fetch(`${epp.adminUrl}/pools/${pool}/api/decisions?limit=10`)).json()) as unknown[];
  assert.equal((await decisions('a')).length, 1);
  assert.equal((await decisions('b')).length, 3);
  const text = await (await fetch(`${epp.adminUrl}/metrics`)).text();
  assert.match(text, /^llm_d_epp_request_total\{model_name="small".*inference_pool="a"\} 1$/m);
  assert.match(text, /^llm_d_epp_request_total\{model_name="large".*inference_pool="b"\} 3$/m);
  assert.equal(text.match(/^# TYPE llm_d_epp_request_total /gm)!.length, 1);

  const unknown = new Metadata();
  unknown.set('x-signalbox-pool', 'c');
  const plane = new DataPlane(t, epp.address, unknown);
  plane.send(requestHeaders());
  await until(() => plane.ended !== null);
  assert.equal(plane.ended!.code, 9);
  assert.match(plane.ended!.details, /there is no pool "c"/);
});

test('a file of pools that cannot be meant is refused where it stands', async (t) => {
  const file = join(temporaryFolder(t), 'pools.yaml');
  for (const [text, says] of [
    ['pools: [{name: a, endpoint: [x]}]', /pools.yaml:1:\d+.*endpoint/s],
    ['pools: [{name: a}]', /pool "a" names no engines/],
    ['pools: [{name: a, endpoints: [x]}, {name: a, endpoints: [y]}]', /two pools are called "a"/],
  ] as const) {
    writeFileSync(file, text);
    await assert.rejects(readPools(file), says);
  }
});
