/** The rule of each preset on small fleets whose outcome is worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newStates } from '../../../src/scheduler/policy.ts';
import { presetNames, presetPolicy } from '../../../src/scheduler/presets.ts';
import { recordDecision } from '../../../src/scheduler/record.ts';
import { anyCaller, type SchedulingRequest } from '../../../src/scheduler/request.ts';
import { schedule } from '../../../src/scheduler/schedule.ts';
import type { FleetView } from '../../../src/scheduler/view.ts';
import { requestOf, viewOf, type Row } from '../../support/scheduling.ts';

interface Asking {
  readonly request?: Partial<SchedulingRequest>;
  readonly seed?: number;
  readonly nowMs?: number;
  readonly prefixHash?: (tokens: number) => number | null;
}

/** A policy with its memory, asked again and again. */
function playing(name: string) {
  const policy = presetPolicy(name);
  const states = newStates(policy);
  const decide = (rows: readonly Row[], { request, seed = 1, nowMs = 0, prefixHash }: Asking = {}) => {
    const asked = requestOf({ promptTokens: 1000, ...request });
    const view: FleetView = { ...viewOf(rows), nowMs, ...(prefixHash === undefined ? {} : { prefixHash }) };
    return recordDecision(policy, asked, view, schedule(policy, states, asked, view, seed), {
      id: 'decision',
      epochMs: 0,
      seed,
      queuedSeconds: 0,
      caller: anyCaller,
      ahead: null,
      rejection: null,
      leftOut: [],
      schedulerSeconds: 0,
      prefixBlocks: null,
      predicted: { ttftSeconds: NaN, e2eSeconds: NaN },
    });
  };
  type Decision = ReturnType<typeof decide>;
  const tied = (decision: Decision): string =>
    Array.from(decision.profiles[0]!.picker.tied, (index) => decision.candidates[index]!.endpoint)
      .sort()
      .join(' ');
  return {
    decide,
    /** Names of the endpoints that share the best total. */
    best: (rows: readonly Row[], asking?: Asking) => tied(decide(rows, asking)),
    picked(rows: readonly Row[], asking?: Asking) {
      const decision = decide(rows, asking);
      return decision.candidates[decision.picked]?.endpoint ?? null;
    },
    /** Decides and counts the pick; gives its name. */
    commit(rows: readonly Row[], asking?: Asking) {
      const decision = decide(rows, asking);
      policy.stateful.forEach((plugin, index) => plugin.commit?.(states[index], decision));
      return decision.candidates[decision.picked]!.endpoint;
    },
    finish(rows: readonly Row[], endpoint: string, ttftSeconds: number, e2eSeconds: number) {
      const outcome = { status: 200, endpoint, promptTokens: 1000, cachedTokens: 0, completionTokens: 11 };
      const decision = decide(rows);
      policy.stateful.forEach((plugin, index) =>
        plugin.finish?.(states[index], decision, { ...outcome, ttftSeconds, e2eSeconds }),
      );
    },
    note: (rows: readonly Row[], name: string, asking?: Asking) =>
      decide(rows, asking).profiles[0]!.scorers.map(({ notes }) => notes[name])[0],
  };
}

const best = (name: string, rows: readonly Row[], asking?: Asking): string => playing(name).best(rows, asking);
const names = (...all: string[]): Row[] => all.map((name) => ({ name }));

for (const name of presetNames) {
  test(`${name}: takes the only endpoint there is, and none where none is`, () => {
    assert.equal(playing(name).picked(names('a')), 'a');
    assert.equal(playing(name).picked([]), null);
    assert.equal(playing(name).picked([{ name: 'a', role: 'prefill' }]), null);
  });
}

test('random: every endpoint in the long run, whatever its load', () => {
  const rows = [{ name: 'a', inFlight: 100 }, { name: 'b' }, { name: 'c', cachedTokens: 1000 }];
  const seen = new Set(Array.from({ length: 60 }, (_, seed) => playing('random').picked(rows, { seed })));
  assert.deepEqual([...seen].sort(), ['a', 'b', 'c']);
});

test('round-robin: in turn, whatever the load', () => {
  const { commit } = playing('round-robin');
  const rows = [{ name: 'a', inFlight: 100 }, { name: 'b' }, { name: 'c' }];
  assert.deepEqual(Array.from({ length: 7 }, () => commit(rows)).join(''), 'abcabca');
});

test('least-requests: the fewest in flight, all that have it', () => {
  const rows = [
    { name: 'a', inFlight: 3 },
    { name: 'b', inFlight: 2 },
    { name: 'c', inFlight: 2 },
  ];
  assert.equal(best('least-requests', rows), 'b c');
});

test('power-of-two: never the busiest of all, sometimes not the idlest', () => {
  const rows = [{ name: 'a', inFlight: 9 }, { name: 'b', inFlight: 5 }, { name: 'c' }];
  const seen = Array.from({ length: 60 }, (_, seed) => playing('power-of-two').picked(rows, { seed }));
  assert.deepEqual([...new Set(seen)].sort(), ['b', 'c']);
});

test('session: its endpoint however busy; without it the fewest requests', () => {
  const rows = [{ name: 'a', inFlight: 500 }, { name: 'b' }];
  assert.equal(best('session', rows, { request: { sessionEndpoint: 'a' } }), 'a');
  assert.equal(best('session', rows, { request: { sessionEndpoint: 'gone' } }), 'b');
  assert.equal(best('session', rows), 'b');
});

test('chwbl: prompts that begin alike go together, until their endpoint has 1.25 times the mean', () => {
  const key = { prefixHash: () => 77 };
  const { picked, note } = playing('chwbl');
  const fleet = names('a', 'b', 'c', 'd');
  const own = picked(fleet, key)!;
  for (let seed = 0; seed < 10; seed++) assert.equal(picked(fleet, { ...key, seed }), own);
  // 41 requests with this one, 10.25 each, so 12.8 are allowed.
  const busy = (inFlight: number): Row[] =>
    fleet.map((row) => ({ ...row, inFlight: row.name === own ? inFlight : (40 - inFlight) / 3 }));
  assert.equal(picked(busy(12), key), own);
  assert.notEqual(picked(busy(13), key), own);
  assert.equal(note(busy(13), 'branch', key), 'its own is over the bound');
  const all = new Set(Array.from({ length: 40 }, (_, hash) => picked(fleet, { prefixHash: () => hash * 7919 })));
  assert.equal(all.size, 4, 'different beginnings spread');
  assert.equal(picked([{ name: 'a', inFlight: 1 }, { name: 'b' }]), 'b', 'without a prompt the fewest requests');
});

test('llm-d-legacy: 3 · prefix + 2 · queue + 2 · free cache + 2 · cold spreading', () => {
  const rows = [
    { name: 'warm', cachedTokens: 800, waiting: 4, kvUsage: 0.5 },
    { name: 'cold', waiting: 0, kvUsage: 0.1 },
  ];
  const { decide } = playing('llm-d-legacy');
  const totals = Array.from(decide(rows).profiles[0]!.totals, (total) => Number(total.toFixed(6)));
  assert.deepEqual(totals, [3 * 0.8 + 0 + 2 * 0.5 + 1, 0 + 2 + 2 * 0.9 + 1]);
});

test('llm-d-legacy: cold requests go round, the endpoint longest without one first', () => {
  const { commit } = playing('llm-d-legacy');
  const rows = names('a', 'b', 'c');
  const first = [commit(rows), commit(rows), commit(rows)];
  assert.equal(new Set(first).size, 3);
  assert.equal(commit(rows), first[0]);
  commit([{ name: 'a', cachedTokens: 900 }, ...names('b', 'c')]);
  assert.equal(commit(rows), first[1], 'a warm request is not counted');
});

test('llm-d-precise: 2 · prefix + free cache + queue; unknown gauges count as idle', () => {
  const totals = playing('llm-d-precise').decide([
    { name: 'a', cachedTokens: 500, waiting: 2, kvUsage: 0.25 },
    { name: 'b' },
  ]).profiles[0]!.totals;
  assert.deepEqual([...totals], [1 + 0.75 + 0, 0 + 1 + 1]);
});

test('llm-d-token-aware: warm ones only, the fewest uncached tokens first', () => {
  const rows = [
    { name: 'warm', cachedTokens: 800, queuedPrefillTokens: 50_000 },
    { name: 'warmer', cachedTokens: 1000, queuedPrefillTokens: 50_150 },
    { name: 'cold', cachedTokens: 799 },
  ];
  assert.equal(best('llm-d-token-aware', rows), 'warmer', '50,150 + 0 against 50,000 + 200');
});

test('llm-d-token-aware: sticky up to 18 s at 15,928 tokens/s, not beyond', () => {
  const rows = (queuedPrefillTokens: number): Row[] => [
    { name: 'warm', cachedTokens: 900, queuedPrefillTokens },
    { name: 'cold' },
  ];
  assert.equal(best('llm-d-token-aware', rows(286_704)), 'warm');
  assert.equal(best('llm-d-token-aware', rows(286_705)), 'cold');
});

test('sglang-cache-aware: a match of more than 0.3, else the fewest requests', () => {
  const rows = (cachedTokens: number): Row[] => [{ name: 'hit', cachedTokens, inFlight: 5 }, { name: 'idle' }];
  assert.equal(best('sglang-cache-aware', rows(300)), 'idle', 'strictly more');
  assert.equal(best('sglang-cache-aware', rows(301)), 'hit');
});

test('sglang-cache-aware: uneven only when both thresholds are passed; -lib has its own', () => {
  const rows = (most: number, least: number): Row[] => [
    { name: 'hit', cachedTokens: 900, inFlight: most },
    { name: 'other', inFlight: least },
  ];
  assert.equal(best('sglang-cache-aware', rows(64, 0)), 'hit');
  assert.equal(best('sglang-cache-aware', rows(65, 0)), 'other');
  assert.equal(best('sglang-cache-aware', rows(300, 200)), 'hit', '300 is not more than 1.5 × 200');
  assert.equal(best('sglang-cache-aware-lib', rows(33, 0)), 'other');
  const equals = [
    { name: 'a', cachedTokens: 900, inFlight: 2 },
    { name: 'b', cachedTokens: 900, inFlight: 1 },
  ];
  assert.equal(best('sglang-cache-aware', equals), 'b', 'of equal matches the less busy');
});

test('smg-least-load: queued tokens at 2,000 a second plus 0.15 · k/(1 − k)', () => {
  const totals = playing('smg-least-load').decide([
    { name: 'a', queuedPrefillTokens: 1000, kvUsage: 0.5 },
    { name: 'b', queuedPrefillTokens: 1000 },
    { name: 'c', kvUsage: 1 },
  ]).profiles[0]!.totals;
  assert.deepEqual(
    Array.from(totals, (total) => Number(total.toFixed(3))),
    [0.65, 0.5, 149.85],
  );
});

test('dynamo: blocks to compute plus blocks in use', () => {
  const rows = [
    { name: 'cached', cachedTokens: 960, contextTokens: 1920 },
    { name: 'idle' },
    { name: 'queued', queuedPrefillTokens: 160 },
  ];
  const request = { promptTokens: 1600 };
  const { columns } = playing('dynamo').decide(rows, { request }).profiles[0]!.scorers[0]!;
  assert.deepEqual([...columns['costBlocks']!], [40 + 220, 100 + 100, 110 + 100]);
  assert.equal(best('dynamo', rows, { request }), 'idle');
  const product = playing('dynamo-lmetric').decide(rows, { request }).profiles[0]!.scorers[0]!.columns;
  assert.deepEqual([...product['costBlocks']!], [40 * 221, 100 * 101, 110 * 101]);
});

test('aibrix: a match up to mean + 1 σ of the requests, while most − least is at most 8', () => {
  const rows = (hit: number, other: number): Row[] => [
    { name: 'hit', cachedTokens: 100, inFlight: hit },
    { name: 'b', inFlight: other },
    { name: 'c', inFlight: other },
  ];
  assert.equal(best('aibrix', rows(2, 2)), 'hit', 'however short the match');
  // 8, 0, 0: mean 2.67, σ 3.77, so up to 6.4.
  assert.equal(best('aibrix', rows(8, 0)), 'b c');
  assert.equal(best('aibrix', [...rows(4, 0), { name: 'd', cachedTokens: 50, inFlight: 3 }]), 'd', '4 > 1.75 + 1.79');
  assert.equal(best('aibrix', rows(12, 3)), 'b c');
});

test('ray: a match of at least 0.1; without one the smallest tree, in tokens given so far', () => {
  const { commit, best } = playing('ray');
  assert.equal(best([{ name: 'a', cachedTokens: 100, inFlight: 9 }, { name: 'b' }]), 'a');
  assert.equal(commit([{ name: 'a' }]), 'a');
  assert.equal(best([{ name: 'a' }, { name: 'b', inFlight: 9 }]), 'b');
  assert.equal(
    best([
      { name: 'a', cachedTokens: 99 },
      { name: 'b', inFlight: 9 },
    ]),
    'b',
  );
  commit([{ name: 'b', cachedTokens: 600 }]);
  commit([{ name: 'b', cachedTokens: 600 }]);
  assert.equal(best([{ name: 'a' }, { name: 'b' }]), 'b', '1000 against 800');
});

test('kthena: full engines are left out unless all are', () => {
  assert.equal(
    best('kthena', [
      { name: 'full', waiting: 10, cachedTokens: 1000 },
      { name: 'b', kvUsage: 1 },
    ]),
    'b',
  );
  assert.equal(playing('kthena').picked([{ name: 'full', waiting: 10 }]), 'full');
});

test('kthena: waiting requests weigh a hundredfold; latency is learned from answers', () => {
  const { decide, finish } = playing('kthena');
  const rows = [
    { name: 'a', inFlight: 3, running: 1 },
    { name: 'b', inFlight: 2, running: 2 },
  ];
  const scores = (scorer: number): number[] => [...decide(rows).profiles[0]!.scorers[scorer]!.scores];
  assert.deepEqual(scores(0), [0, (203 - 2) / 203]);
  assert.deepEqual(scores(1), [1, 1], 'unmeasured');
  finish(rows, 'a', 1, 2);
  finish(rows, 'b', 2, 2.5);
  assert.deepEqual(scores(1), [0.5, 0.5], 'a is first by TTFT, b by TPOT');
});

test('production-stack: the longest match, whatever the load', () => {
  assert.equal(best('production-stack', [{ name: 'a', cachedTokens: 1, inFlight: 500 }, { name: 'b' }]), 'a');
  assert.equal(best('production-stack', [{ name: 'a', inFlight: 500 }, { name: 'b' }]), 'a b');
});

test('production-stack-loadaware: m/P − (q − mean)/max(1, mean)', () => {
  const rows = (hit: number): Row[] => [
    { name: 'hit', cachedTokens: 500, inFlight: hit },
    { name: 'b', inFlight: 4 },
  ];
  // 0.5 − (q − m)/m against (q − m)/m with m = (q + 4)/2: even at q = 20/3.
  assert.equal(best('production-stack-loadaware', rows(6)), 'hit');
  assert.equal(best('production-stack-loadaware', rows(7)), 'b');
});

test('preble: exploits when more than half is cached, by load; else explores by load and own prefill', () => {
  const { commit, best, note } = playing('preble');
  const half = [
    { name: 'a', cachedTokens: 500, prefillSeconds: 1 },
    { name: 'b', prefillSeconds: 2.5 },
  ];
  assert.equal(note(half, 'branch'), 'explore');
  assert.equal(best(half), 'a');
  commit(half);
  commit(half);
  assert.equal(best(half), 'b', '2 s given to a in the window, and 1 s own');
  assert.equal(best(half, { nowMs: 1000 }), 'b');
  const most = [{ name: 'a', cachedTokens: 501, prefillSeconds: 1 }, half[1]!];
  assert.equal(best(most), 'a', 'exploited however loaded');
  commit([{ name: 'b', prefillSeconds: 0 }], { nowMs: 181_000 });
  assert.equal(best(half, { nowMs: 181_000 }), 'a', 'the window has passed');
});

test('lmetric: tokens to compute times requests, this one included', () => {
  const rows = [
    { name: 'a', cachedTokens: 900, inFlight: 9 },
    { name: 'b', inFlight: 0, queuedPrefillTokens: 50 },
    { name: 'c', cachedTokens: 1000, inFlight: 1000 },
  ];
  const { columns } = playing('lmetric').decide(rows).profiles[0]!.scorers[0]!;
  assert.deepEqual([...columns['product']!], [100 * 10, 1050 * 1, 1 * 1001]);
  assert.equal(best('lmetric', rows), 'a');
});

test('dualmap: one of two endpoints by the key; the cached one in time, else the quicker', () => {
  const key = { prefixHash: () => 5 };
  const { decide } = playing('dualmap');
  const fleet = names('a', 'b', 'c', 'd');
  const scores = [...decide(fleet, key).profiles[0]!.scorers[0]!.scores];
  const pair = fleet.filter((_, i) => scores[i]! > 0).map(({ name }) => name);
  assert.equal(pair.length, 2);
  const rows = (queuedPrefillSeconds: number): Row[] =>
    fleet.map((row) => (row.name === pair[0] ? { ...row, cachedTokens: 500, queuedPrefillSeconds } : row));
  assert.equal(best('dualmap', rows(4), key), pair[0], 'cached and in time');
  assert.equal(best('dualmap', rows(5), key), pair[1], 'too late for 5 s with its own prefill');
});

test('dualmap: a key that many prompts share is lengthened', () => {
  const { commit, note } = playing('dualmap');
  const fleet = names('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
  const request = { promptTokens: 4000 };
  const asking = (id: number) => ({ request, prefixHash: (tokens: number) => (tokens <= 512 ? 1 : 1000 + id) });
  assert.equal(note(fleet, 'keys', asking(1)), '1');
  for (let id = 0; id < 40; id++) commit(fleet, asking(id));
  assert.equal(note(fleet, 'keys', asking(99)), '1 1099');
});

test('predicted-ttft: queue and own prefill; within 0.1 it is a draw', () => {
  const rows = [
    { name: 'a', queuedPrefillSeconds: 0.5, prefillSeconds: 0.4 },
    { name: 'b', queuedPrefillSeconds: 0, prefillSeconds: 0.95, inFlight: 50 },
    { name: 'c', queuedPrefillSeconds: 0, prefillSeconds: 1 },
  ];
  assert.equal(best('predicted-ttft', rows), 'a b');
});

test('least-added-wait: queue + own · (1 + α · requests there), term by term', () => {
  const rows = [
    { name: 'warm', queuedPrefillSeconds: 1, prefillSeconds: 0.1, inFlight: 20 },
    { name: 'idle', queuedPrefillSeconds: 0, prefillSeconds: 1.5, inFlight: 0 },
  ];
  const profile = playing('least-added-wait').decide(rows).profiles[0]!;
  assert.deepEqual(
    profile.scorers.map(({ scores }) => [...scores]),
    [
      [1, 0],
      [0.1, 1.5],
      [2, 0],
    ],
  );
  assert.deepEqual([...profile.totals], [1 + 0.1 + 0.25 * 2, 1.5]);
  assert.equal(best('least-added-wait', rows), 'idle');
});
