import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository, runCommand } from '../support/command.ts';

test('without a cluster the installer ends with the command that does the same here', async () => {
  const script = join(repository, 'quickstart/llmd-installer.sh');
  const result = await runCommand('sh', [script], { env: { KUBECONFIG: '/nowhere/config' } });
  assert.equal(result.status, 1);
  assert.match(
    result.stderr,
    /^signalbox: (kubectl|helm) .*\nThe same on this machine, without Kubernetes: \.\/signalbox up -f examples/,
  );
});
