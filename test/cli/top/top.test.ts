import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { AdminApi } from '../../../src/cli/admin-api.ts';
import { Feed } from '../../../src/cli/top/feed.ts';
import { eventually, freePort, repository, runCommand } from '../../support/command.ts';
import { model, postJson, startEngine, startTestGateway } from '../../support/fleet-under-test.ts';

const program = join(repository, 'src/cli/main.ts');
const send = async (url: string, prompt = 'x'): Promise<string> => {
  const response = await postJson(`${url}/v1/completions`, { model, prompt, max_tokens: 2 });
  await response.text();
  return response.headers.get('x-signalbox-decision')!;
};

test('--once prints a picture, --json one document with the same in it', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const id = await send(gateway.url);
  const flags = ['top', '--admin-url', gateway.adminUrl];
  const once = await runCommand(process.execPath, [program, ...flags, '--once']);
  assert.equal(once.status, 0, once.stderr);
  assert.match(once.stdout, /^signalbox top \d\d:\d\d:\d\d {3}1 of 1 endpoints ready {3}0 in flight {3}/);
  assert.match(once.stdout, new RegExp(`\n127\\.0\\.0\\.1:${engine.port} +ready +0 +0 .* 100\\.0%\n`));
  assert.match(once.stdout, /\n\d\d:\d\d:\d\d {2}127\.0\.0\.1:\d+ .* 200 {2}\S.*the only candidate\n/);
  assert.ok(!once.stdout.includes('\x1b'));

  const { status, stdout } = await runCommand(process.execPath, [program, ...flags, '--json']);
  assert.equal(status, 0);
  const shown = JSON.parse(stdout) as { endpoints: { name: string; share: number }[]; decisions: { id: string }[] };
  assert.deepEqual(
    shown.endpoints.map(({ name, share }) => [name, share]),
    [[`127.0.0.1:${engine.port}`, 1]],
  );
  assert.deepEqual(
    shown.decisions.map((decision) => decision.id),
    [id],
  );
});

test('without a terminal, or with nobody to ask, it says what to do', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const blind = await runCommand(process.execPath, [program, 'top', '--admin-url', url]);
  assert.equal(blind.status, 2);
  assert.match(blind.stderr, /top needs a terminal; --once prints one picture/);
  const alone = await runCommand(process.execPath, [program, 'top', '--once', '--admin-url', url]);
  assert.equal(alone.status, 1);
  assert.match(alone.stderr, /^signalbox: no answer from the admin API at /);
});

test('the feed has each decision once, in order, with its outcome as soon as there is one', async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  const feed = new Feed(new AdminApi(gateway.adminUrl));
  await feed.poll();
  assert.deepEqual(feed.snapshot.decisions, []);
  const ids: string[] = [];
  for (let round = 0; round < 3; round++) {
    const [first, second] = [await send(gateway.url), await send(gateway.url)];
    ids.unshift(second, first);
    await eventually('both have ended', 5_000, async () => {
      await feed.poll();
      return feed.snapshot.decisions.every(({ outcome }) => outcome !== null) ? true : null;
    });
    assert.deepEqual(
      feed.snapshot.decisions.map(({ id }) => id),
      ids,
    );
  }
  await gateway.close(0);
  await assert.rejects(feed.poll(), /no answer from the admin API/);
  assert.equal(feed.snapshot.decisions.length, 6);
  assert.match(feed.snapshot.error!, /no answer/);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

test('in a terminal: drawn, left by q or by a signal, and the terminal given back', { skip: !hasScript }, async (t) => {
  const engine = await startEngine(t);
  const gateway = await startTestGateway(t, [engine.url]);
  await send(gateway.url);
  for (const way of ['q', 'SIGTERM']) {
    const command = `echo pid $$; "${process.execPath}" "${program}" top --admin-url ${gateway.adminUrl} & pid=$!; echo "pid=$pid"; fg >/dev/null; stty -a`;
    const child = spawn('script', ['-qfec', `bash --norc -mc '${command}'`, '/dev/null'], { cwd: repository });
    t.after(() => child.kill());
    let screen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
    const seen = (text: string): Promise<true> =>
      eventually(`${text} on ${JSON.stringify(screen)}`, 10_000, () => Promise.resolve(screen.includes(text) || null));
    await seen('enter why');
    child.stdin.write('\x1b[B\r');
    await seen('why: decision');
    await seen('prompt tokens; policy');
    if (way === 'q') child.stdin.write('q');
    else process.kill(Number(/pid=(\d+)/.exec(screen)![1]), way);
    await seen('icanon');
    const after = screen.slice(screen.lastIndexOf('\x1b[?1049l'));
    assert.match(after, /[^-]icanon/);
    assert.match(after, /[^-]echo /);
    assert.ok(screen.lastIndexOf('\x1b[?25h') > screen.lastIndexOf('\x1b[?25l'));
    child.stdin.end();
  }
});
