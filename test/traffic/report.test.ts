import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { wallClock } from '../../src/base/clock.ts';
import { collectScores, Scores } from '../../src/traffic/load/scores.ts';
import { createDispatcher } from '../../src/traffic/load/send.ts';
import type { RequestResult } from '../../src/traffic/load/send.ts';
import { summarise } from '../../src/traffic/load/summary.ts';
import { Tally } from '../../src/traffic/load/tally.ts';
import { loadReport } from '../../src/traffic/report/load-report.ts';
import { lineChart, roundAxis, stackedChart, timeAxis } from '../../src/charts/svg.ts';

const about = { workload: 'a <trace>', url: 'http://127.0.0.1:8080', model: 'toy/model' };

function result(number: number, more: Partial<RequestResult> = {}): RequestResult {
  const startMs = number * 100;
  return {
    endpoint: `decode-${number % 20}`,
    sessionToken: null,
    reason: 'load 0.50x1 <b>',
    startMs,
    firstTokenMs: startMs + 50,
    endMs: startMs + 250,
    usage: { promptTokens: 10, completionTokens: 5, cachedTokens: 2 },
    contentEvents: 5,
    error: null,
    ...more,
  };
}

function decisionJson(id: number, endpoints: string[]): object {
  const scores = Object.fromEntries(endpoints.map((name, index) => [name, (index + 1) / 10]));
  const scorers = [{ plugin: 'load', type: 'load-aware-scorer', unit: 'share', weight: 2, scores, details: {} }];
  const time = new Date(Date.now() + 5).toISOString();
  return { version: 1, id: `d${id}`, time, profiles: [{ name: 'decode', scorers, totals: scores }] };
}

/** Every number that is drawn with. */
function drawnNumbers(page: string): number[] {
  return [...page.matchAll(/ (?:d|x|y|x1|x2|y1|y2|width|height)="([^"]*)"/g)].flatMap(([, text]) =>
    text!
      .split(/[^-\d.a-zA-Z]|(?<=[a-zA-Z])(?=[-\d])|(?<=\d)(?=[A-Za-z])/)
      .filter((part) => part !== '' && !/^[MLhZ]$/.test(part) && !part.endsWith('px'))
      .map(Number),
  );
}

test('the report stands alone, escapes what others wrote, and draws every number', () => {
  const tally = new Tally(0);
  for (let number = 0; number < 200; number++) tally.add(result(number), 0);
  tally.add(result(3, { error: '429 <busy>', firstTokenMs: null }), 0);
  const scores = new Scores(Date.now());
  const page = loadReport(summarise(tally, about, 20_500), tally, scores);

  assert.doesNotMatch(page, /<script|<link|<img|@import|url\(|src=|href=/);
  assert.doesNotMatch(page, /<trace>|<b>|<busy>|undefined|NaN|Infinity/);
  assert.ok(drawnNumbers(page).length > 1000);
  assert.ok(drawnNumbers(page).every(Number.isFinite));
  assert.match(page, /color-scheme:light dark/);
  assert.match(page, /The busiest 16 of 20 endpoints/);
  assert.match(page, /The scores are not known: the gateway made no decisions during the run/);
});

test('a run without a single answer has a report as well', () => {
  const tally = new Tally(0);
  const page = loadReport(summarise(tally, about, 0), tally, new Scores(Date.now()));
  assert.match(page, /nothing was measured/);
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
});

test('scores come from the decisions made during the run, each once', async (t) => {
  const before = { ...decisionJson(0, ['decode-0']), time: new Date(Date.now() - 60_000).toISOString() };
  const decisions: object[] = [before];
  for (let id = 1; id <= 700; id++) decisions.push(decisionJson(id, ['decode-0', 'decode-1']));
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://localhost').searchParams;
    const limit = Number(query.get('limit'));
    const after = query.get('after');
    const start = after === null ? 0 : Number(after.slice(1)) + 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(decisions.slice(start, start + limit)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const dispatcher = createDispatcher();
  t.after(() => dispatcher.destroy());
  const clock = { ...wallClock, epochMs: () => Date.now() - 1000 };
  const { scores, stop } = collectScores(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dispatcher,
    clock,
  );
  await stop();

  assert.equal(scores.trouble, null);
  assert.equal(scores.decisions, 700);
  assert.deepEqual([...scores.charts.keys()], ['decode · total', 'decode · load-aware-scorer']);
  const { sum, count } = scores.charts.get('decode · load-aware-scorer')!.endpoints.get('decode-1')!;
  const total = (values: Float64Array): number => values.reduce((one, other) => one + other, 0);
  assert.equal(total(count.at(count.stepMs)), 700);
  assert.ok(Math.abs(total(sum.at(sum.stepMs)) - 140) < 1e-9);

  const tally = new Tally(0);
  for (let number = 0; number < 2; number++) tally.add(result(number), 0);
  assert.match(loadReport(summarise(tally, about, 3000), tally, scores), /in 700 decisions of the gateway/);
});

test('without an admin API the report says so', async (t) => {
  const dispatcher = createDispatcher();
  t.after(() => dispatcher.destroy());
  const { scores, stop } = collectScores('http://127.0.0.1:1', dispatcher, wallClock);
  await stop();
  const tally = new Tally(0);
  assert.match(
    loadReport(summarise(tally, about, 1000), tally, scores),
    /The scores are not known: http:\/\/127\.0\.0\.1:1\/api\/decisions did not answer/,
  );
});

test('axes end at round numbers', () => {
  const format = String;
  for (const [max, end] of [
    [0, 0.25],
    [1, 1],
    [3, 3],
    [26, 30],
    [49, 60],
    [0.37, 0.4],
  ] as const) {
    assert.ok(Math.abs(roundAxis(max, format).max - end) < 1e-9, `${max}: ${roundAxis(max, format).max}`);
  }
  assert.equal(timeAxis(3537).step, 1200);
});

test('a gap in a series is a gap in the line, and areas stand on each other', () => {
  const axis = roundAxis(4, String);
  const line = lineChart([{ name: 'a', colour: 0, values: [1, NaN, 2, 3] }], timeAxis(4), axis);
  assert.equal([...line.match(/ d="([^"]*)"/)![1]!.matchAll(/M/g)].length, 2);
  const series = [0, 1].map((colour) => ({ name: `s${colour}`, colour, values: [2, 2] }));
  const areas = [...stackedChart(series, timeAxis(2), axis).matchAll(/ d="M[\d.]+,([\d.]+)/g)].map(([, y]) =>
    Number(y),
  );
  assert.equal(areas[1]! < areas[0]!, true);
});
