import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockNamespace } from '../../src/stack/namespace-lock.ts';
import { expectFree, freePorts } from '../../src/stack/ports.ts';
import { identify, isRunning, killIfRunning } from '../../src/stack/process-identity.ts';
import { stackFolder } from '../../src/stack/state.ts';
import { temporaryFolder } from '../support/command.ts';

test('a process is known by more than its number', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const identity = identify(child.pid!)!;
  assert.equal(isRunning(identity), true);
  killIfRunning({ ...identity, start: `${identity.start}1` });
  assert.equal(isRunning(identity), true, 'another process with the same number is left alone');
  const exited = once(child, 'exit');
  killIfRunning(identity);
  await exited;
  assert.equal(isRunning(identity), false);
});

test('a namespace has one supervisor; the lock of a dead one is taken over', (t) => {
  const folder = temporaryFolder(t);
  const lock = lockNamespace(folder, 'here');
  assert.equal(lock.isHeld(), true);
  assert.throws(() => lockNamespace(folder, 'here'), /already runs in namespace here .*down -n here/);
  lock.release();
  assert.equal(lock.isHeld(), false);
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: process.pid, start: 'long ago' }));
  lockNamespace(folder, 'here').release();
  writeFileSync(join(folder, 'lock'), 'not JSON');
  lockNamespace(folder, 'here').release();
});

test('a taken port is named with the flag that changes it', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await assert.rejects(expectFree('127.0.0.1', port, '--port'), new RegExp(`port ${port} .* is taken .*--port`));
  await assert.rejects(expectFree('192.0.2.1', 18080, '--port'), /--host/);
  const ports = await freePorts(8);
  assert.equal(new Set(ports).size, 8);
  for (const free of ports) await expectFree('127.0.0.1', free, '--port');
});

test('a namespace cannot lead out of the state folder', () => {
  for (const name of ['../up', 'a/b', '', 'Upper', '-a', 'a'.repeat(64)]) {
    assert.throws(() => stackFolder(name), { code: 'usage' });
  }
});
