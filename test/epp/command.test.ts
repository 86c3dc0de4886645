import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { foreignFlags, goBoolean, goDurationMs } from '../../src/compat/llm-d-flags.ts';
import { eppCommand } from '../../src/cli/epp.ts';
import { repository, runCommand } from '../support/command.ts';
import { join } from 'node:path';

const signalbox = join(repository, 'signalbox');

test("Go's switches and durations are read as Go reads them", () => {
  assert.deepEqual(['true', 'T', '1', 'false', '0', 'perhaps'].map(goBoolean), [true, true, true, false, false, null]);
  assert.deepEqual(['30s', '1m30s', '500ms', '1.5h', '30', ''].map(goDurationMs), [
    30_000,
    90_000,
    500,
    5_400_000,
    null,
    null,
  ]);
});

test("the arguments of llm-d's and of the conformance tests' pods are taken", () => {
  const command = eppCommand().exitOverride();
  let options: Record<string, unknown> = {};
  command.action((flags: Record<string, unknown>) => {
    options = flags;
  });
  const conformance = ['--pool-name', 'primary', '--pool-namespace', 'default', '--zap-encoder', 'json'];
  const ports = ['--grpc-port', '9002', '--grpc-health-port=9003', '-v=4', '--secure-serving=false'];
  const others = foreignFlags.flatMap(({ name }) => [`--${name}=1`]);
  command.parse([...conformance, ...ports, ...others, '--drain-timeout', '5s'], { from: 'user' });
  const { poolName, grpcPort, grpcHealthPort, verbosity, secureServing, drainTimeout } = options;
  assert.deepEqual(
    { poolName, grpcPort, grpcHealthPort, verbosity, secureServing, drainTimeout },
    {
      poolName: 'primary',
      grpcPort: 9002,
      grpcHealthPort: 9003,
      verbosity: 4,
      secureServing: false,
      drainTimeout: 5000,
    },
  );
});

test('an unknown flag, a pool without endpoints and an open front without engines are wrong usage', async () => {
  const cases = [
    { args: ['epp', '--no-such-flag'], says: /unknown option/ },
    { args: ['epp'], says: /name the engines/ },
    { args: ['envoy-config', '--fail-open'], says: /--endpoint/ },
    { args: ['envoy-config', '--no-secure-serving', '--epp-ca', 'ca.crt'], says: /TLS/ },
  ];
  for (const { args, says } of cases) {
    const result = await runCommand(signalbox, args);
    assert.equal(result.status, 2, result.stderr);
    assert.match(result.stderr, says);
  }
});

test('the printed bootstrap asks the EPP for everything and cuts no stream', async () => {
  const result = await runCommand(signalbox, [
    'envoy-config',
    '--epp',
    'epp.pool.svc:9002',
    '--endpoint',
    'http://[::1]:8000',
  ]);
  assert.equal(result.status, 0, result.stderr);
  const { static_resources } = parse(result.stdout) as {
    static_resources: {
      clusters: { name: string; load_assignment: { endpoints: { lb_endpoints: unknown[] }[] } }[];
    };
  };
  const addresses = static_resources.clusters.map(
    ({ load_assignment }) => load_assignment.endpoints[0]!.lb_endpoints[0] as { endpoint: { address: object } },
  );
  assert.deepEqual(
    addresses.map(({ endpoint }) => endpoint.address),
    [
      { socket_address: { address: '::1', port_value: 8000 } },
      { socket_address: { address: 'epp.pool.svc', port_value: 9002 } },
    ],
  );
  assert.doesNotMatch(result.stdout, /(?<!idle_|stream_idle_|request_)timeout: [1-9]\d{0,1}s\n\s+(cluster|retry)/);
});
