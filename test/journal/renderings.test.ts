import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decisionJson } from '../../src/journal/decision-json.ts';
import { explainTable } from '../../src/journal/explain-table.ts';
import { flipLines } from '../../src/journal/flip-lines.ts';
import type { FlipJson } from '../../src/journal/decision-schema.ts';
import { flipsJson } from '../../src/journal/flips.ts';
import { responseHeaders } from '../../src/journal/response-headers.ts';
import { policyFromConfig } from '../../src/scheduler/config.ts';
import { shortNames } from '../../src/journal/text.ts';
import { counterfactual } from '../../src/scheduler/counterfactual.ts';
import { decide, requestOf, viewOf } from '../support/scheduling.ts';
import { shareTestConfig } from '../scheduler/arbitraries.ts';

const policy = policyFromConfig(shareTestConfig, 'test');
const pod = (suffix: string): string => `meta-llama-llama-3-2-3b-instruct-decode-7d4f959d99-${suffix}`;

function hit(): ReturnType<typeof decide> {
  const rows = [
    { name: pod('4h8bc'), cachedTokens: 32, waiting: 0, running: 1, othersInFlight: 1, ageMs: 40 },
    { name: pod('52l4h'), inFlight: 3, waiting: 0, running: 3, othersInFlight: 0, ageMs: 40 },
    { name: 'meta-llama-llama-3-2-3b-instruct-prefill-66cb-xx001', role: 'prefill' },
  ];
  return decide(policy, requestOf(), viewOf(rows, 'match'), 7);
}

test('the JSON has the shape others rely on, with null for what is not known', () => {
  const json = JSON.parse(JSON.stringify(decisionJson(hit()))) as Record<string, never>;
  assert.deepEqual(
    Object.keys(json).filter((key) => key !== 'kind' && key !== 'picked'),
    'version id requestId time model streaming promptTokens prefixBlocks policy seed admission inputs profiles reason predicted schedulerSeconds disaggregation attempts shadow outcome'.split(
      ' ',
    ),
  );
  const decision = decisionJson(hit());
  assert.equal(decision.time, '2025-05-16T18:00:00.000Z');
  assert.deepEqual(decision.inputs[pod('4h8bc')], {
    waiting: 0,
    running: 1,
    othersInFlight: 1,
    kvUsage: null,
    inFlight: 0,
    queuedPrefillTokens: 0,
    queuedPrefillSeconds: 0,
    contextTokens: 0,
    cachedTokens: 32,
    prefillSeconds: 0.01,
    ageMs: 40,
    speed: 1,
    prefillShare: null,
  });
  const [profile] = decision.profiles;
  assert.deepEqual(Object.keys(profile!), [
    'name',
    'candidateCount',
    'candidates',
    'filters',
    'scorers',
    'totals',
    'picker',
  ]);
  assert.deepEqual(profile!.filters[0]!.dropped, [
    { endpoint: 'meta-llama-llama-3-2-3b-instruct-prefill-66cb-xx001', reason: 'role is prefill' },
  ]);
  const prefix = profile!.scorers.find(({ type }) => type === 'prefix-aware-scorer')!;
  assert.equal(prefix.unit, 'share');
  assert.equal(prefix.weight, 2);
  assert.equal(prefix.scores[pod('52l4h')], 0);
  assert.deepEqual(prefix.details['cachedTokens'], { [pod('4h8bc')]: 32, [pod('52l4h')]: 0 });
  assert.deepEqual(profile!.picker.picked, [pod('4h8bc')]);
  assert.equal(decision.picked, pod('4h8bc'));
  assert.equal(decision.predicted.ttftSeconds, null);
  assert.equal(decision.outcome, null);
});

test('of very many candidates the best sixteen are listed, the pick among them, and all are counted', () => {
  const rows = Array.from({ length: 500 }, (_, index) => ({ name: `pod-${index}`, inFlight: 1 + ((index * 7) % 500) }));
  const decision = decide(policy, requestOf(), viewOf(rows), 1);
  const json = decisionJson(decision);
  const [profile] = json.profiles;
  assert.equal(profile!.candidateCount, 500);
  assert.equal(Object.keys(profile!.totals).length, 16);
  assert.equal(Object.keys(json.inputs).length, 16);
  assert.ok(json.picked! in profile!.totals);
  const listed = Object.values(profile!.totals);
  const sorted = [...decision.profiles[0]!.totals].sort((a, b) => b - a);
  assert.equal(Math.min(...listed), sorted[15]);
});

test('the table fits a terminal and says who, why, what was dropped and what came of it', () => {
  const decision = hit();
  decision.attempts.push({ endpoint: pod('4h8bc'), status: 200, reason: 'answered' });
  decision.outcome = {
    status: 200,
    endpoint: pod('4h8bc'),
    cachedTokens: 32,
    ttftSeconds: 0.031,
    e2eSeconds: 2.5,
    completionTokens: 500,
  };
  const text = explainTable(decisionJson(decision));
  for (const line of text.split('\n')) assert.ok(line.length <= 100, `${line.length}: ${line}`);
  assert.match(text, new RegExp(`picked ${pod('4h8bc')}`));
  assert.match(text, /because session 0\.00x3 \+ prefix 0\.33x2 \+ load 0\.50x1/);
  assert.match(text, /prefill-66cb-xx001: role is prefill/);
  assert.match(text, /7d4f959d99-4h8bc +0\.000 +0\.333 +0\.496 +1\.163 +<- picked/);
  assert.match(text, /ahead of the next by 0\.674/);
  assert.match(text, /predicted +32 +- +-\n/);
  assert.match(text, /happened +32 +31\.0 ms +2\.50 s +500 +200\n/);
});

test('a tie, an end still to come, nobody at all: each said plainly', () => {
  const tie = explainTable(decisionJson(decide(policy, requestOf(), viewOf([{ name: 'a' }, { name: 'b' }]), 1)));
  assert.match(tie, /tie of 2, decided at random/);
  assert.match(tie, /not ended yet/);
  const nobody = explainTable(decisionJson(decide(policy, requestOf(), viewOf([]), 1)));
  assert.match(nobody, /no endpoint was ready/);
  assert.match(nobody, /not placed\n {2}because no endpoint is ready/);
});

test('headers hold what HTTP can carry', () => {
  const decision = { ...hit(), reason: 'näme\r\nx: y'.padEnd(400, '-') };
  const headers = responseHeaders(decision, 'a');
  assert.deepEqual(Object.keys(headers), [
    'x-request-id',
    'x-signalbox-decision',
    'x-signalbox-endpoint',
    'x-signalbox-reason',
  ]);
  assert.match(headers['x-signalbox-reason']!, /^n\?me\?\?x: y-+$/);
  assert.equal(headers['x-signalbox-reason']!.length, 200);
  assert.ok(!('x-signalbox-endpoint' in responseHeaders(decision, null)));
});

test('what would have changed it stands in the table, in its own units, and fits a terminal', () => {
  const decision = hit();
  const search = counterfactual(decision, policy, (uncached, cached) => uncached + cached / 10);
  let step = search.next();
  while (!step.done) step = search.next();
  const flips = flipsJson(decision, step.value);
  const json = { ...decisionJson(decision), flips };
  const text = explainTable(json);
  assert.match(
    text,
    /it would have gone to decode-7d4f959d99-52l4h\n {2}if it had had 34 more cached tokens: 34 instead of 0\n/,
  );
  assert.match(text, / {2}if decode-7d4f959d99-4h8bc had had 76 more requests in flight: 76 instead of 0\n/);
  assert.match(text, /no value of these alone would have put it elsewhere\n( {2}.* at .*\n)+\n/);
  for (const line of text.split('\n')) assert.ok(line.length <= 100, `${line.length}: ${line}`);

  const asked = explainTable(json, false);
  assert.match(asked, /^not sent, only asked where it would go\n/);
  assert.match(asked, /would go to .*4h8bc\n[^]*it would go to .*52l4h\n {2}if it had 34 more cached tokens/);
  const unknown = explainTable({ ...json, flips: { unknown: 'the policy has been replaced since', profiles: [] } });
  assert.match(unknown, /what would have put it elsewhere is not known: the policy has been replaced since\n/);
});

test('each kind of number has its unit; one is one', () => {
  const shown = (input: FlipJson['input'], unit: FlipJson['unit'], from: number | null, to: number): string => {
    const flip: FlipJson = { endpoint: 'a', input, unit, from, to, picks: null, size: 1 };
    const profiles = [{ profile: 'decode', picked: 'a', runnerUp: null, flips: [flip] }];
    return flipLines({ unknown: null, profiles }, shortNames(['a']), true)[1]!;
  };
  assert.equal(shown('inFlight', 'requests', 0, 1), '  if a had had 1 more request in flight: 1 instead of 0');
  assert.equal(shown('cachedTokens', 'tokens', 3, 2), '  if a had had 1 fewer cached token: 2 instead of 3');
  assert.match(shown('kvUsage', 'share', 0.5, 0.625), /12\.5% more KV cache use: 62\.5% instead of 50%$/);
  assert.match(shown('queuedPrefillSeconds', 'seconds', 1.5, 1.499), /0\.001 s less queued prefill: 1\.499 s instead/);
  assert.match(shown('ageMs', 'milliseconds', 40.2, 5000), /4960 ms more gauge age: 5000 ms instead of 40 ms$/);
  assert.match(shown('waiting', 'requests', null, 5), /5 more waiting requests: 5 instead of unknown$/);
});
