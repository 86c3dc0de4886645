import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { repository, temporaryFolder } from '../support/command.ts';
import { model, postJson, startEngine, startTestGateway, until } from '../support/fleet-under-test.ts';
import { checkedFamilies, type ExposedFamily } from '../support/prometheus-text.ts';

/** What a gateway exposes after some of everything: streams, whole answers, errors, refusals, a shadow, a journal. */
async function exposed(t: TestContext): Promise<Map<string, ExposedFamily>> {
  const engines = [await startEngine(t), await startEngine(t)];
  const gateway = await startTestGateway(
    t,
    engines.map(({ url }) => url),
    { shadows: ['llm-d-legacy'], journalFolder: temporaryFolder(t) },
  );
  const text = async (): Promise<string> => (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const ask = async (fields: object): Promise<void> => {
    await (await postJson(`${gateway.url}/v1/completions`, { model, max_tokens: 4, ...fields })).text();
  };
  const prompt = 'A prompt that is long enough to be cached in a few blocks. '.repeat(20);
  for (let i = 0; i < 30; i++) await ask({ prompt, stream: i % 2 === 0, stream_options: { include_usage: true } });
  await ask({ model: 'no "such"\n\\model' });
  await ask({ prompt, max_tokens: -1 });
  // Gauges are read within seconds, and the last answers are counted after their last byte.
  await until(async () => /signalbox_endpoint_kv_cache_usage\{/.test(await text()));
  await until(async () => /^llm_d_epp_request_error_total\{/m.test(await text()));
  await until(async () => /^signalbox_shadow_compared_total\{.*\} [1-9]/m.test(await text()));
  return checkedFamilies(await text());
}

const words = new Set(['by', 'without', 'on', 'ignoring', 'and', 'or', 'unless', 'bool', 'offset']);

/** Names of metrics in a PromQL expression: what is left when labels, ranges, strings, groupings and functions are gone. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, ' ')
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  const names = [...bare.matchAll(/(?<![\w.:])[a-zA-Z_:][\w:]*(?!\s*\(|\w)/g)].map(([found]) => found);
  return names.filter((found) => !words.has(found));
}

test('the metrics keep to the format; every panel of the dashboard and every alert finds what it asks for', async (t) => {
  const families = await exposed(t);
  const samples = new Set([...families.values()].flatMap((family) => family.samples.map((one) => one.name)));

  const read = (path: string): string => readFileSync(join(repository, 'deploy', path), 'utf8');
  const dashboard = JSON.parse(read('grafana/signalbox.json')) as {
    panels: { type: string; title: string; targets?: { expr: string }[] }[];
  };
  const alerts = parse(read('prometheus/alerts.yaml')) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const asked = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ from: title, expr }))),
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ from: alert, expr }))),
  ];
  assert.ok(asked.length > 40);
  for (const { from, expr } of asked) {
    const names = metricsIn(expr);
    assert.ok(names.length > 0, expr);
    for (const name of names) assert.ok(samples.has(name), `${from}: nothing is called ${name}`);
    assert.equal(expr.split('(').length, expr.split(')').length, expr);
  }
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  assert.ok(panels.every(({ targets }) => (targets ?? []).length > 0));
});

test('autoscalers ask for metrics that are exposed', async (t) => {
  const samples = new Set([...(await exposed(t)).values()].flatMap(({ samples: all }) => all.map(({ name }) => name)));
  const read = (file: string): string => readFileSync(join(repository, 'deploy/autoscaling', file), 'utf8');
  const hpa = parse(read('hpa.yaml')) as { spec: { metrics: { external: { metric: { name: string } } }[] } };
  const keda = parse(read('keda.yaml')) as { spec: { triggers: { metadata: { valueLocation: string } }[] } };
  const asked = [
    ...hpa.spec.metrics.map(({ external }) => external.metric.name),
    ...keda.spec.triggers.map(({ metadata }) => metadata.valueLocation),
  ];
  assert.equal(asked.length, 4);
  for (const name of asked) assert.ok(samples.has(name), `nothing is called ${name}`);
});

test('the check of the format finds what is wrong', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c"} 1\n';
  checkedFamilies(good);
  const histogram = (buckets: string): string =>
    `# HELP h x\n# TYPE h histogram\n${buckets}h_bucket{le="+Inf"} 3\nh_sum 1\nh_count 3\n`;
  checkedFamilies(histogram('h_bucket{le="1"} 2\n'));
  for (const bad of [
    good.trimEnd(),
    good + good,
    `${good}a_total{b="c"} 2\n`,
    `${good}b 1\n`,
    good.replace('"c"', '"\\c"'),
    good.replace(' 1', ' one'),
    good.replaceAll('a_total', 'a'),
    histogram('h_bucket{le="1"} 4\n'),
    histogram('h_bucket{le="2"} 1\nh_bucket{le="1"} 2\n'),
    histogram('').replace('h_count 3', 'h_count 2'),
  ]) {
    assert.throws(() => checkedFamilies(bad), assert.AssertionError, bad);
  }
});
