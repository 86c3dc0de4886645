import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PoliciesJson } from '../../src/admin/json.ts';
import { runCommand, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';

const config = (own: boolean): string => `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: load-aware-scorer
${own ? '  - ./mine.ts\n' : ''}schedulingProfiles:
  - name: decode
    plugins:
      - pluginRef: load-aware-scorer
${own ? '      - pluginRef: my-scorer\n        weight: 10\n' : ''}`;

const plugin = `import { definePlugin, z } from 'signalbox/plugin';
import type { Cycle } from 'signalbox/plugin';
import { favourite } from './helper.ts';

export default definePlugin({
  type: 'my-scorer',
  kind: 'scorer',
  unit: 'share',
  summary: 'Prefers one.',
  source: 'a test',
  parameters: z.strictObject({}),
  create: () => ({
    score({ candidates, view }: Cycle, scores: Float64Array) {
      candidates.forEach((slot, at) => (scores[at] = favourite(view.endpoints[slot]!.name) ? 1 : 0));
    },
  }),
});
`;

test("a user's plugin is added, edited, breaks, hangs and goes, and no request is lost", async (t) => {
  const folder = temporaryFolder(t);
  const file = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const [a, b] = [await startEngine(t), await startEngine(t)];
  const names = [a, b].map(({ url }) => url.replace('http://', ''));
  const helper = (body: string): void =>
    file('helper.ts', `export function favourite(name: string): boolean { ${body} }\n`);
  helper(`return name === '${names[0]}';`);
  file('mine.ts', plugin);
  file('config.yaml', config(false));
  const configFile = join(folder, 'config.yaml');
  const gateway = await startTestGateway(t, [a.url, b.url], { policy: { environment: {}, configFile } });

  const policies = async (): Promise<PoliciesJson> =>
    (await (await fetch(`${gateway.adminUrl}/api/policies`)).json()) as PoliciesJson;
  const generation = (wanted: number): Promise<void> => until(async () => (await policies()).generation === wanted);

  /* Requests all along; each must be answered. */
  const answers: number[] = [];
  let last = '';
  let count = 0;
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const answer = await postJson(`${gateway.url}/v1/completions`, { model, prompt: 'Hello', max_tokens: 2 });
      await answer.text();
      answers.push(answer.status);
      last = answer.headers.get('x-signalbox-endpoint') ?? '';
      count += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  const someMore = async (): Promise<void> => {
    const until20 = count + 20;
    await until(() => count >= until20);
  };

  try {
    await someMore();
    file('config.yaml', config(true));
    await generation(2);
    await someMore();
    assert.equal(last, names[0], 'the plugin decides');

    helper(`return name === '${names[1]}';`);
    await generation(3);
    await someMore();
    assert.equal(last, names[1], 'what it imports is read again');

    file('mine.ts', plugin.replace('definePlugin({', 'definePlugin({{'));
    await until(async () => (await policies()).lastReload?.outcome === 'rejected');
    assert.match((await policies()).lastReload!.error!, /config\.yaml:5:5: \.\/mine\.ts: /);
    await someMore();
    assert.equal(last, names[1], 'one that does not load changes nothing');

    file('mine.ts', plugin);
    helper(`throw new Error('broken ' + name);`);
    await generation(4);
    await someMore();
    const [broken] = (await policies()).plugins;
    assert.ok(broken!.failures > 0 && broken!.off === null);
    assert.match(broken!.lastFailure!, /^broken /);

    helper('for (;;);');
    await generation(5);
    await until(async () => (await policies()).plugins[0]!.off !== null);
    await someMore();
    const [hung] = (await policies()).plugins;
    assert.match(hung!.off!, /switched off: it hung/);
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    assert.match(metrics, /signalbox_plugin_off\{plugin_type="my-scorer"\} 1/);
    assert.match(metrics, /signalbox_config_generation 5/);
    assert.match(metrics, /signalbox_config_reloads_total\{outcome="rejected"\} [1-9]/);

    file('config.yaml', config(false));
    await generation(6);
    rmSync(join(folder, 'mine.ts'));
    await someMore();
    assert.deepEqual((await policies()).plugins, []);
  } finally {
    isOver = true;
    await clients;
  }
  assert.ok(answers.length > 100);
  assert.deepEqual(
    answers.filter((status) => status !== 200),
    [],
  );
});

test('check names what is wrong with a plugin, and warns of one that throws', async (t) => {
  const folder = temporaryFolder(t);
  const check = (...flags: string[]) => runCommand('./signalbox', ['check', join(folder, 'config.yaml'), ...flags]);
  writeFileSync(join(folder, 'config.yaml'), config(true));
  const missing = await check();
  assert.deepEqual(
    [missing.status, /config\.yaml:5:5: \.\/mine\.ts: there is no such file/.test(missing.stderr)],
    [1, true],
  );

  writeFileSync(
    join(folder, 'helper.ts'),
    `export const favourite = (): boolean => { throw new Error('no idea'); };\n`,
  );
  writeFileSync(join(folder, 'mine.ts'), plugin);
  const throwing = await check();
  assert.equal(throwing.status, 0, throwing.stderr);
  assert.match(throwing.stdout, /warning: my-scorer .* threw, and was skipped: no idea/);

  writeFileSync(join(folder, 'mine.ts'), plugin.replace(`kind: 'scorer'`, `kind: 'scorrer'`));
  const wrong = await check();
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /mine\.ts: kind: /);
  writeFileSync(join(folder, 'config.yaml'), config(false));
  const configFile = join(folder, 'config.yaml');
  const gateway = await startTestGateway(t, [(await startEngine(t)).url], { policy: { environment: {}, configFile } });
  const differences = async (): Promise<string[]> =>
    (JSON.parse((await check('--json', '--diff', gateway.adminUrl)).stdout) as { differences: string[] }).differences;
  assert.deepEqual(await differences(), [], 'what runs is the file');
  const threshold = 'load-aware-scorer\n    parameters: { threshold: 7 }\n';
  writeFileSync(join(folder, 'other.yaml'), config(false).replace('load-aware-scorer\n', threshold));
  const against = await runCommand('./signalbox', ['check', join(folder, 'other.yaml'), '--diff', gateway.adminUrl]);
  assert.match(against.stdout, /- load-aware-scorer: threshold 128\n\+ load-aware-scorer: threshold 7/);
  const diff = JSON.parse((await check('--json', '--diff', 'least-requests')).stdout) as { differences: string[] };
  assert.ok(diff.differences.includes('+ profile decode: load-aware-scorer x1'), diff.differences.join('\n'));
});
