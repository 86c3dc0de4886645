import { credentials } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { EndpointJson } from '../../src/admin/json.ts';
import { startGateway } from '../../src/gateway/gateway.ts';
import { selfSignedCertificate } from '../../src/proxy/certificate.ts';
import { eventually, temporaryFolder } from '../support/command.ts';
import { model, postJson, silent, startEngine, startTestGateway } from '../support/fleet-under-test.ts';
import { Health, startTestEpp } from '../epp/wire-client.ts';

/** A folder with a certificate as Kubernetes mounts one, and how to put another in its place. */
function certificateFolder(t: TestContext, name: string) {
  const folder = join(temporaryFolder(t), name);
  mkdirSync(folder);
  const write = () => {
    const certificate = selfSignedCertificate(Date.now());
    writeFileSync(join(folder, 'tls.key'), certificate.key);
    writeFileSync(join(folder, 'tls.crt'), certificate.cert);
    return certificate;
  };
  return { folder, write, certificate: write(), crt: join(folder, 'tls.crt') };
}

/** The status, or why there was none. */
function get(port: number, options: RequestOptions): Promise<string> {
  return new Promise((resolve) => {
    const request = httpsRequest(
      { host: 'localhost', port, path: '/v1/models', agent: false, ...options },
      (response) => {
        response.resume();
        resolve(String(response.statusCode));
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    request.end();
  });
}

test('the gateway serves HTTPS, with the certificate that its folder has now', async (t) => {
  const engine = await startEngine(t);
  const files = certificateFolder(t, 'server');
  const gateway = await startTestGateway(t, [engine.url], { certPath: files.folder });
  assert.equal(await get(gateway.port, { ca: files.certificate.cert }), '200');
  assert.notEqual(await get(gateway.port, { ca: selfSignedCertificate(Date.now()).cert }), '200');
  const next = files.write();
  await eventually('the new certificate is served', 10_000, async () =>
    (await get(gateway.port, { ca: next.cert })) === '200' ? true : null,
  );
  writeFileSync(files.crt, 'no certificate');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(await get(gateway.port, { ca: next.cert }), '200');
  await assert.rejects(
    startGateway({ port: 0, adminPort: 0, certPath: '/nowhere', policy: { environment: {} }, log: silent }),
    { code: 'environment', message: /^--cert-path: .*nowhere/ },
  );
});

test('with --client-ca only clients whose certificate it signed are served', async (t) => {
  const engine = await startEngine(t);
  const [server, client] = [certificateFolder(t, 'server'), certificateFolder(t, 'client')];
  const options = { certPath: server.folder, clientCa: client.crt };
  const gateway = await startTestGateway(t, [engine.url], options);
  const { cert: ca } = server.certificate;
  assert.equal(await get(gateway.port, { ca, ...client.certificate }), '200');
  assert.doesNotMatch(await get(gateway.port, { ca }), /^\d+$/);
  assert.doesNotMatch(await get(gateway.port, { ca, ...selfSignedCertificate(Date.now()) }), /^\d+$/);
});

test('the endpoint picker serves only data planes whose certificate was signed, where it is told whose', async (t) => {
  const engine = await startEngine(t);
  const [server, client] = [certificateFolder(t, 'server'), certificateFolder(t, 'client')];
  const options = { secureServing: true, certPath: server.folder, clientCa: client.crt };
  const epp = await startTestEpp(t, [engine.url], options);
  const asked = (pair: { key?: string; cert?: string }): Promise<string> => {
    const [ca, key, cert] = [server.certificate.cert, pair.key, pair.cert].map((pem) =>
      pem ? Buffer.from(pem) : null,
    );
    const health = new Health(`localhost:${epp.grpcPort}`, credentials.createSsl(ca, key, cert));
    t.after(() => health.close());
    return new Promise((done) => {
      health.Check({ service: '' }, (error, response) => done(error === null ? response.status : 'refused'));
    });
  };
  assert.equal(await asked(client.certificate), 'SERVING');
  assert.equal(await asked({}), 'refused');
  assert.equal(await asked(selfSignedCertificate(Date.now())), 'refused');
  await assert.rejects(startTestEpp(t, [engine.url], { clientCa: client.crt }), { code: 'usage' });
});

test('engines are spoken to by TLS, know us by our certificate, and are not believed without theirs', async (t) => {
  const [engine, own] = [certificateFolder(t, 'engine'), certificateFolder(t, 'own')];
  const secured = { ...engine.certificate, ca: own.certificate.cert, requestCert: true, rejectUnauthorized: true };
  const server = createServer(secured, (request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/v1/models') response.end(JSON.stringify({ object: 'list', data: [{ id: model }] }));
    else response.end('{"choices":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  const gateway = await startTestGateway(t, [url], { endpointCa: engine.crt, endpointCertPath: own.folder });
  assert.equal((await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'x' })).status, 200);

  for (const trust of [{ endpointCa: own.crt, endpointCertPath: own.folder }, { endpointCa: engine.crt }]) {
    const wrong = await startGateway({
      ...{ port: 0, adminPort: 0, endpoints: [url], policy: { environment: {} }, log: silent },
      ...trust,
    });
    t.after(() => wrong.close(0));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const listed = (await (await fetch(`http://127.0.0.1:${wrong.adminPort}/api/endpoints`)).json()) as EndpointJson[];
    assert.deepEqual(
      listed.map(({ ready }) => ready),
      [false],
    );
  }
  const mixed = { endpoints: [url, 'http://localhost:1'], policy: { environment: {} }, log: silent };
  await assert.rejects(startGateway(mixed), { code: 'usage', message: /all engines are https/ });
});

test('the admin API asks for its token, by Bearer or as browsers do', async (t) => {
  const file = join(temporaryFolder(t), 'token');
  const token = 'a-token-of-the-operator';
  writeFileSync(file, `${token}\n`);
  const gateway = await startGateway({
    ...{ port: 0, adminPort: 0, adminTokenFile: file, policy: { environment: {} }, log: silent },
  });
  t.after(() => gateway.close(0));
  const ask = async (path: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await fetch(`http://127.0.0.1:${gateway.adminPort}${path}`, { headers })).status;
  };
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  for (const path of ['/', '/metrics', '/api/endpoints', '/v1/models', '/api/events']) {
    assert.equal(await ask(path), 401, path);
    assert.equal(await ask(path, 'Bearer another-token-of-somebody'), 401, path);
    assert.equal(await ask(path, basic(`${token}:`)), 401, path);
  }
  assert.equal(await ask('/healthz'), 200);
  assert.equal(await ask('/api/endpoints', `Bearer ${token}`), 200);
  assert.equal(await ask('/metrics', basic(`anybody:${token}`)), 200);
});
