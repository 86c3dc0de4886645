import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/command.ts';
import { namespace, stem, type OneNode } from './one-node.ts';

const picker = `${stem}-epp-sa`;

/** Rights, and who reads metrics. */
export function security(on: OneNode): void {
  test('no account has rights that it does not need', async () => {
    const can = async (account: string, ...what: string[]): Promise<boolean> => {
      const as = `system:serviceaccount:${namespace}:${account}`;
      return (await on.cluster.kubectl('auth', 'can-i', ...what, '--as', as)).stdout.trim() === 'yes';
    };
    const controller = 'llm-d-modelservice';
    const here = ['-n', namespace];
    assert.equal(await can(controller, 'create', 'deployments', ...here), true);
    assert.equal(await can(picker, 'watch', 'pods', ...here), true);
    const accounts = [controller, picker, `${stem}-sa`, 'llm-d-inference-gateway'];
    for (const account of accounts) {
      for (const what of [
        ['get', 'secrets', ...here],
        ['create', 'pods', ...here],
        ['create', 'pods/exec', ...here],
        ['list', 'pods', '-n', 'kube-system'],
        ['list', 'nodes'],
        ['create', 'clusterrolebindings'],
        ['update', 'customresourcedefinitions'],
      ]) {
        assert.equal(await can(account, ...what), false, `${account}: ${what.join(' ')}`);
      }
    }
    assert.equal(await can('llm-d-inference-gateway', 'get', 'pods', ...here), false);
    for (const account of [picker, `${stem}-sa`]) {
      for (const verb of ['patch', 'delete']) assert.equal(await can(account, verb, 'pods', ...here), false, account);
    }
  });

  test('every container is without rights, on a root that cannot be written', async () => {
    const { items } = JSON.parse(await on.kubectl('get', 'pods', '-n', namespace, '-o', 'json')) as { items: Pod[] };
    assert.ok(items.length >= 5);
    for (const { metadata, spec } of items) {
      assert.equal(spec.securityContext.runAsNonRoot, true, metadata.name);
      for (const { name, securityContext } of [...spec.containers, ...(spec.initContainers ?? [])]) {
        const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = securityContext;
        const what = `${metadata.name} ${name}`;
        assert.deepEqual([allowPrivilegeEscalation, readOnlyRootFilesystem], [false, true], what);
        assert.deepEqual(capabilities, { drop: ['ALL'] }, what);
      }
    }
  });

  test('where metrics ask for a token, only who may get /metrics reads them', async () => {
    const result = await on.installer(
      ...['-n', namespace, '-f', 'examples/base/session-and-load-aware.yaml'],
      ...['--set', 'modelservice.epp.metrics.authenticated=true'],
    );
    assert.equal(result.status, 0, result.stderr);
    await on.kubectl('rollout', 'status', `deployment/${stem}-epp`, '-n', namespace, '--timeout', '120s');
    for (const account of ['may', 'may-not']) await on.kubectl('create', 'serviceaccount', account, '-n', namespace);
    await on.kubectl('create', 'clusterrole', 'metrics-reader', '--verb=get', '--non-resource-url=/metrics');
    await on.kubectl(
      ...['create', 'clusterrolebinding', 'metrics-reader', '--clusterrole=metrics-reader'],
      `--serviceaccount=${namespace}:may`,
    );
    const address = await on.kubectl(
      ...['get', 'service', `${stem}-epp-service`, '-n', namespace, '-o', 'jsonpath={.spec.clusterIP}'],
    );
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`http://${address}:9090/metrics`, { headers })).status;
    const tokenOf = async (account: string): Promise<Record<string, string>> => {
      const token = await on.kubectl('create', 'token', account, '-n', namespace);
      return { authorization: `Bearer ${token.trim()}` };
    };
    const may = await tokenOf('may');
    await eventually('whoever has no token is refused', 60_000, async () => ((await status({})) === 401 ? true : null));
    assert.equal(await status(may), 200);
    assert.equal(await status(await tokenOf('may-not')), 401);
    const log = await on.kubectl('logs', '-n', namespace, '-l', 'llm-d.ai/epp', '--tail', '-1');
    assert.equal(log.includes(may['authorization']!.slice('Bearer '.length)), false);
    await on.kubectl('delete', 'clusterrole,clusterrolebinding', 'metrics-reader');
  });
}

interface Container {
  readonly name: string;
  readonly securityContext: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: object;
  };
}

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly securityContext: { readonly runAsNonRoot?: boolean };
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
}
