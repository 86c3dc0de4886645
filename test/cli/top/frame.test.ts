import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EndpointJson } from '../../../src/admin/json.ts';
import type { Snapshot } from '../../../src/cli/top/feed.ts';
import { frame } from '../../../src/cli/top/frame.ts';
import { matchingDecisions } from '../../../src/cli/top/rows.ts';
import { firstView, press, type Key, type View } from '../../../src/cli/top/view.ts';
import { decisionJson } from '../../../src/journal/decision-json.ts';
import { policyFromConfig } from '../../../src/scheduler/config.ts';
import { decide, requestOf, viewOf } from '../../support/scheduling.ts';
import { shareTestConfig } from '../../scheduler/arbitraries.ts';

const policy = policyFromConfig(shareTestConfig, 'test');
const fleet = viewOf([{ name: 'pod-a' }, { name: 'pod-b' }]);

function snapshotOf(endpoints: number, decisions: number): Snapshot {
  const row: EndpointJson = {
    name: '',
    address: '127.0.0.1:1',
    labels: {},
    ready: true,
    state: 'ready',
    models: ['toy/model'],
    inFlight: 0,
    queuedPrefillTokens: 7,
    queuedPrefillSeconds: 0.1,
    contextTokens: 9,
    waiting: null,
    running: null,
    kvUsage: null,
    gaugeAgeMs: null,
    cachedTokens: 5,
    speed: null,
    secondsPerOutputToken: null,
    totals: { requests: 0, failed: 0, promptTokens: 0, measuredTokens: 0, cachedTokens: 0, completionTokens: 0 },
  };
  const names = Array.from(
    { length: endpoints },
    (_, i) => `pod-${String.fromCharCode(97 + (i % 26))}${i > 25 ? i : ''}`,
  );
  return {
    url: 'http://127.0.0.1:8081',
    epochMs: Date.UTC(2025, 4, 16, 18, 0, 5),
    endpoints: names.map((name, i) => ({ ...row, name, inFlight: i })),
    decisions: Array.from({ length: decisions }, (_, i) => {
      const decision = decide(policy, requestOf({ requestId: `request-${i}` }), fleet, decisions - i);
      if (i === 2) {
        const seen = { cachedTokens: null, ttftSeconds: null, e2eSeconds: null, completionTokens: null };
        decision.outcome = { status: 502, endpoint: null, ...seen };
      }
      return decisionJson(decision);
    }),
    shadow: { policies: [] },
    error: null,
  };
}

const size = { columns: 100, rows: 24 };
const texts = (snapshot: Snapshot, view: View = firstView): string[] =>
  frame(snapshot, view, size).map(({ text }) => text);

/** The view after some keys; letters stand for themselves. */
function after(snapshot: Snapshot, ...keys: string[]): View {
  return keys.reduce<View>((view, name) => {
    const ids = matchingDecisions(snapshot.decisions, view.filter).map(({ id }) => id);
    const next = press(view, { name, text: name.length === 1 ? name : '' }, ids, 10);
    return next === 'quit' ? view : next;
  }, firstView);
}

test('no picture is larger than its terminal, whatever is shown and however it is resized', () => {
  const keys = fc.constantFrom('up', 'down', 'pagedown', 'return', 'left', 'escape', 's', 'f', 'a', 'backspace');
  fc.assert(
    fc.property(
      fc.nat(60),
      fc.nat(60),
      fc.array(keys, { maxLength: 20 }),
      fc.nat(200),
      fc.nat(60),
      (endpoints, decisions, pressed, columns, rows) => {
        const snapshot = snapshotOf(endpoints, decisions);
        const lines = frame(snapshot, after(snapshot, ...pressed), { columns, rows });
        assert.ok(lines.length <= rows);
        for (const { text } of lines) assert.ok(text.length <= columns);
      },
    ),
    { numRuns: 60 },
  );
});

test('unknown is "-", what cannot serve and what failed stand out', () => {
  const snapshot = snapshotOf(2, 4);
  const [down, up] = snapshot.endpoints;
  const lines = frame({ ...snapshot, endpoints: [{ ...down!, ready: false, state: 'failing' }, up!] }, firstView, size);
  const b = lines.find(({ text }) => text.startsWith('b '))!;
  assert.match(b.text, /^b +ready +1 +7 +- +- +- +- +5 +- +\d+\.0%$/);
  const a = lines.find(({ text }) => text.startsWith('a '))!;
  assert.match(a.text, /failing/);
  assert.equal(a.look, 'bad');
  assert.equal(lines.find(({ text }) => text.includes(' 502 '))!.look, 'bad');
  const stale = texts({ ...snapshot, error: 'no answer' });
  assert.ok(stale.includes('not fresh: no answer'));
});

test('s sorts by the next column, f filters endpoints and decisions, escape clears', () => {
  const snapshot = snapshotOf(3, 6);
  const order = (view: View): string =>
    texts(snapshot, view)
      .slice(3, 6)
      .map((line) => line[0])
      .join('');
  assert.equal(order(firstView), 'cba');
  assert.match(texts(snapshot, after(snapshot, 's'))[2]!, /queued tok\*/);
  assert.equal(order({ ...firstView, sort: 'name' }), 'abc');

  const filtered = after(snapshot, 'f', 'd', '-', 'b', 'return');
  assert.equal(filtered.filter, 'd-b');
  const shown = texts(snapshot, filtered);
  assert.ok(shown.some((line) => line.startsWith('b ')) && !shown.some((line) => line.startsWith('a ')));
  assert.equal(after(snapshot, 'f', 'x', 'q', 'escape').filter, '');
});

test('a chosen decision stays chosen while new ones come, and enter opens it', () => {
  const snapshot = snapshotOf(2, 40);
  const view = after(snapshot, 'down', 'down', 'down');
  const third = snapshot.decisions[2]!.id;
  assert.equal(view.selected, third);
  const isChosen = (line: { look?: string }): boolean => line.look === 'selected';
  const at = (of: Snapshot): number => frame(of, view, size).findIndex(isChosen);
  const later = { ...snapshot, decisions: [{ ...snapshot.decisions[0]!, id: 'new' }, ...snapshot.decisions] };
  assert.equal(at(later), at(snapshot) + 1);
  assert.ok(frame(snapshot, after(snapshot, ...Array<string>(30).fill('down')), size).some(isChosen), 'scrolled to');

  const open = after(snapshot, 'down', 'return');
  assert.equal(open.detail?.id, snapshot.decisions[0]!.id);
  const key: Key = { name: 'pagedown' };
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`);
  const scrolled = press({ ...open, detail: { ...open.detail!, lines } }, key, [], 21) as View;
  assert.deepEqual(texts(snapshot, scrolled).slice(2, 4), ['line 9', 'line 10']);
  assert.equal((press(scrolled, { name: 'left' }, [], 21) as View).detail, null);
  assert.equal(press(scrolled, { name: 'q', text: 'q' }, [], 21), 'quit');
});

test('what comes from outside cannot steer the terminal', () => {
  const snapshot = snapshotOf(1, 1);
  const decision = { ...snapshot.decisions[0]!, reason: 'a\x1b[2Jb\r\nc\u202e' };
  const shown = texts({ ...snapshot, decisions: [decision] }).join('');
  assert.ok(shown.includes('a?[2Jb??c?'));
});
