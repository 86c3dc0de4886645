import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { credentials, loadPackageDefinition, type ClientDuplexStream } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { temporaryFolder } from '../support/command.ts';
import { startStub, until } from '../support/fleet-under-test.ts';
import { startTestEpp } from './wire-client.ts';

interface Response {
  readonly version_info: string;
  readonly nonce: string;
  readonly type_url: string;
  readonly resources: readonly {
    readonly type_url: string;
    readonly value: {
      readonly cluster_name: string;
      readonly endpoints: readonly {
        lb_endpoints?: readonly { endpoint: { address: { socket_address: object } } }[];
      }[];
    };
  }[];
}

const assignment = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';

/** What an Envoy does: asks, acknowledges, and keeps what it is told. */
class Watcher {
  readonly heard: Response[] = [];
  hasEnded = false;
  readonly #stream: ClientDuplexStream<object, Response>;

  constructor(t: TestContext, address: string) {
    const definition = loadSync(join(import.meta.dirname, 'endpoint_discovery.proto'), { keepCase: true });
    const loaded = loadPackageDefinition(definition) as unknown as {
      envoy: { service: { endpoint: { v3: { EndpointDiscoveryService: new (...given: unknown[]) => Client } } } };
    };
    const client = new loaded.envoy.service.endpoint.v3.EndpointDiscoveryService(address, credentials.createInsecure());
    this.#stream = client.StreamEndpoints();
    this.#stream.on('error', () => undefined);
    this.#stream.on('end', () => (this.hasEnded = true));
    this.#stream.on('data', (response: Response) => {
      this.heard.push(response);
      this.#ask(response.nonce);
    });
    this.#ask('');
    t.after(() => {
      this.#stream.cancel();
      client.close();
    });
  }

  /** The addresses heard last. */
  get addresses(): object[] {
    const [resource] = this.heard.at(-1)?.resources ?? [];
    const all = (resource?.value.endpoints ?? []).flatMap(({ lb_endpoints = [] }) => lb_endpoints);
    return all.map(({ endpoint }) => endpoint.address.socket_address);
  }

  #ask(nonce: string): void {
    this.#stream.write({ resource_names: ['endpoints'], type_url: assignment, response_nonce: nonce });
  }
}

interface Client {
  StreamEndpoints(): ClientDuplexStream<object, Response>;
  close(): void;
}

test('Envoy is told of the endpoints as they come and go, once each time', async (t) => {
  const stub = await startStub(t, (_request, response) => response.end());
  const port = Number(stub.name.split(':')[1]);
  const path = join(temporaryFolder(t), 'endpoints.yaml');
  const write = (...addresses: string[]): void => {
    writeFileSync(
      `${path}.new`,
      JSON.stringify({ endpoints: addresses.map((address) => ({ name: address, address })) }),
    );
    renameSync(`${path}.new`, path);
  };
  write(stub.name);
  const epp = await startTestEpp(t, [], { endpointsFile: path });
  const watcher = new Watcher(t, epp.address);
  await until(() => watcher.heard.length > 0);
  const [first] = watcher.heard;
  assert.equal(first!.type_url, assignment);
  assert.equal(first!.resources[0]!.type_url, assignment);
  assert.equal(first!.resources[0]!.value.cluster_name, 'endpoints');
  assert.deepEqual(watcher.addresses, [{ address: '127.0.0.1', port_value: port }]);

  write(stub.name, '[::1]:8000', 'a.name.example:8000');
  await until(() => watcher.addresses.length === 2);
  assert.deepEqual(watcher.addresses, [
    { address: '127.0.0.1', port_value: port },
    { address: '::1', port_value: 8000 },
  ]);
  write();
  await until(() => watcher.addresses.length === 0);
  const versions = watcher.heard.map(({ version_info: version }) => version);
  assert.deepEqual(versions, [...new Set(versions)]);
  assert.equal(epp.openStreams, 0, 'requests under way are counted, and no others');

  await epp.close(5000);
  await until(() => watcher.hasEnded);
});
