import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { Sessions } from '../../src/door/sessions.ts';
import { readPolicy } from '../../src/scheduler/config.ts';
import type { SessionRule } from '../../src/scheduler/plugin.ts';

const key = Buffer.alloc(32, 7);
const idle: Clock = new VirtualClock();

function rule(parameters: string): SessionRule | null {
  const text = `apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: session-affinity-scorer\n  parameters: ${parameters}\nschedulingProfiles:\n- name: default\n  plugins:\n  - pluginRef: session-affinity-scorer\n`;
  return readPolicy(text, 'epp.yaml', 'theirs').sessions;
}

test('by token: what the last answer said leads back, and nothing that a client makes up does', () => {
  const sessions = new Sessions({ key, clock: idle, rule: () => rule('{}') });
  const said = sessions.answered({}, 'pod-1');
  assert.equal(sessions.endpointOf(said), 'pod-1');
  const forged = `${Buffer.from('pod-2').toString('base64url')}.${said['x-session-token']!.split('.')[1]}`;
  assert.equal(sessions.endpointOf({ 'x-session-token': forged }), null);
  assert.equal(sessions.endpointOf({ 'x-session-token': Buffer.from('default/pod-2').toString('base64') }), null);
});

test('by an id of the client’s: the first header that is there counts, and it is forgotten when it was long unused', () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, epochMs: () => nowMs, after: () => ({ cancel: () => undefined }) };
  const byId = rule(
    '{strategy: session_id, sessionIdConfig: {sources: [{header: X-Chat}, {header: x-session-id}], evictionTtlSeconds: 60}}',
  );
  const sessions = new Sessions({ key, clock, rule: () => byId });
  const headers = { 'x-chat': 'abc', 'x-session-id': 'other' };
  assert.deepEqual(sessions.answered(headers, 'pod-1'), {});
  assert.equal(sessions.endpointOf({ 'x-chat': 'abc' }), 'pod-1');
  assert.equal(sessions.endpointOf({ 'x-session-id': 'other' }), null);
  nowMs += 50_000;
  sessions.answered(headers, 'pod-2');
  nowMs += 50_000;
  assert.equal(sessions.endpointOf({ 'x-chat': 'abc' }), 'pod-2');
  nowMs += 10_001;
  assert.equal(sessions.endpointOf({ 'x-chat': 'abc' }), null);
  sessions.answered({ 'x-chat': 'new' }, 'pod-3');
  assert.equal(sessions.size, 1, 'what has run out makes room');
});

test('ids take bounded room however many there are', () => {
  const byId = rule('{strategy: session_id}');
  const sessions = new Sessions({ key, clock: idle, rule: () => byId });
  for (let i = 0; i < 60_000; i++) sessions.answered({ 'x-session-id': `session ${i}` }, 'pod-1');
  assert.equal(sessions.size, 50_000);
  assert.equal(sessions.endpointOf({ 'x-session-id': 'session 0' }), null);
  assert.equal(sessions.endpointOf({ 'x-session-id': 'session 59999' }), 'pod-1');
});

test('what cannot be had of llm-d’s sessions is refused with its place', () => {
  assert.throws(
    () => rule('{strategy: session_id, sessionIdConfig: {sources: [{attribute: agent-identity}]}}'),
    /epp\.yaml:5:.*attribute/s,
  );
});
