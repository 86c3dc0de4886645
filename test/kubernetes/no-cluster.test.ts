import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { repository, runCommand } from '../support/command.ts';

/** dash and busybox know little beyond POSIX: what runs there runs in the bash 3.2 of a Mac. */
const shells = [['sh'], ['bash'], ['bash', '--posix'], ['busybox', 'sh'], ['zsh'], ['zsh', '--emulate', 'sh']];

before(async () => {
  const installed = await runCommand('sh', [join(repository, 'test/kubernetes/cluster/install.sh')]);
  assert.equal(installed.status, 0, installed.stderr);
});

for (const [program = '', ...first] of shells) {
  test(`without a cluster the installer ends with the command that does the same here, in ${program} ${first.join(' ')}`, async () => {
    const script = join(repository, 'quickstart/llmd-installer.sh');
    const result = await runCommand(program, [...first, script], { env: { KUBECONFIG: '/nowhere/config' } });
    assert.equal(result.status, 1);
    assert.match(
      result.stderr,
      /^signalbox: (kubectl|helm) .*\nThe same on this machine, without Kubernetes: \.\/signalbox up -f examples/,
    );
  });
}
