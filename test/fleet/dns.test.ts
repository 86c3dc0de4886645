import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FoundEndpoint } from '../../src/fleet/discovery/discovery.ts';
import { discoverByDns, dnsNameOf } from '../../src/fleet/discovery/dns.ts';
import { a, aaaa, srv, startDnsServer } from '../support/dns-server.ts';
import { silent } from '../support/fleet-under-test.ts';

const loopback6 = aaaa(0, 0, 0, 0, 0, 0, 0, 1);

test("a host's addresses, both families, come and go; a service's targets keep their names", async (t) => {
  const zone = new Map([
    ['pool.example', [a('10.0.0.1'), a('10.0.0.2'), loopback6]],
    ['_http._tcp.pool.example', [srv('pod-0.example', 8000), srv('pod-1.example', 8001)]],
    ['pod-0.example', [a('10.0.0.3')]],
    ['pod-1.example', [loopback6]],
  ]);
  const { address } = await startDnsServer(t, zone);
  const found = async (name: string): Promise<readonly FoundEndpoint[]> => {
    let all: readonly FoundEndpoint[] = [];
    const discovery = discoverByDns(dnsNameOf(name), silent, [address]);
    t.after(() => discovery.close());
    await new Promise<void>((done) => {
      discovery.start((endpoints) => {
        all = endpoints;
        done();
      });
    });
    return all;
  };
  assert.deepEqual(
    (await found('pool.example:8000')).map((each) => each.address),
    ['[::1]:8000', '10.0.0.1:8000', '10.0.0.2:8000'],
  );
  assert.deepEqual(
    (await found('_http._tcp.pool.example')).map((each) => [each.name, each.address]),
    [
      ['pod-0.example:8000', '10.0.0.3:8000'],
      ['pod-1.example:8001', '[::1]:8001'],
    ],
  );
});

test('while DNS fails what was there stays; a name that is gone has no endpoints', async (t) => {
  const zone = new Map([['pool.example', [a('10.0.0.1')]]]);
  const { address, socket } = await startDnsServer(t, zone);
  const told: string[][] = [];
  const discovery = discoverByDns(dnsNameOf('pool.example:8000'), silent, [address]);
  t.after(() => discovery.close());
  await new Promise<void>((done) => {
    discovery.start((endpoints) => {
      told.push(endpoints.map((each) => each.name));
      done();
    });
  });
  zone.set('pool.example', [a('10.0.0.9')]);
  await discovery.reload!();
  const listeners = socket.listeners('message');
  socket.removeAllListeners('message');
  socket.on('message', (query: Buffer, from: { port: number; address: string }) => {
    const failure = Buffer.from(query);
    failure.writeUInt16BE(0x8182, 2); // the server failed
    socket.send(failure, from.port, from.address);
  });
  await discovery.reload!();
  assert.deepEqual(told, [['10.0.0.1:8000'], ['10.0.0.9:8000']]);
  socket.removeAllListeners('message');
  for (const listener of listeners) socket.on('message', listener as () => void);
  zone.delete('pool.example');
  await discovery.reload!();
  assert.deepEqual(told.at(-1), []);
});

test('what is no name is refused in so many words', () => {
  for (const wrong of ['pool.example', '10.0.0.1:80', 'pool:99999', 'http://pool:80']) {
    assert.throws(() => dnsNameOf(wrong), /--endpoint-dns .*: write host:port/);
  }
});
