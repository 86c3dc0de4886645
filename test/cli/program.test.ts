import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository, runCommand, temporaryFolder, type CommandResult } from '../support/command.ts';

const run = (args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> =>
  runCommand(process.execPath, [join(repository, 'src/cli/main.ts'), ...args], { env });

test('help and version end with 0, on standard output', async () => {
  for (const args of [['--help'], ['--version'], ['up', '--help'], ['help', 'scale'], ['get', '--help']]) {
    const { status, stdout } = await run(args);
    assert.equal(status, 0, args.join(' '));
    assert.notEqual(stdout, '');
  }
});

test('wrong usage ends with 2 and its reason on the first line of standard error', async () => {
  const wrong: [string[], RegExp][] = [
    [[], /^Usage: signalbox/],
    [['sclae'], /^error: unknown command 'sclae'\n\(Did you mean scale\?\)/],
    [['up', '--prot', '1'], /^error: unknown option '--prot'/],
    [['up', '--port', 'x'], /^error: .*--port.*expected a whole number/],
    [['scale', 'decode'], /^error: missing required argument 'replicas'/],
    [['scale', 'gateway', '2'], /^error: .*decode, prefill/],
    [['get', 'nodes'], /^error: .*pods/],
    [['logs'], /^signalbox: say which pod/],
    [['get', 'pods', '-n', '../x'], /^signalbox: "..\/x" is no namespace/],
  ];
  await Promise.all(
    wrong.map(async ([args, reason]) => {
      const { status, stderr } = await run(args);
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, reason);
    }),
  );
});

test('commands for a stack that does not run say so and end with 1; down has nothing to do', async (t) => {
  const env = { SIGNALBOX_HOME: temporaryFolder(t) };
  for (const args of [
    ['get', 'pods'],
    ['logs', 'x'],
    ['scale', 'decode', '2'],
    ['delete', 'pod', 'x'],
  ]) {
    const { status, stderr } = await run(args, env);
    assert.deepEqual(
      [status, stderr],
      [1, 'signalbox: no stack runs in namespace default; "signalbox up" starts one\n'],
    );
  }
  assert.equal((await run(['down'], env)).status, 0);
});
