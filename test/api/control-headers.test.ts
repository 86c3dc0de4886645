import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestHeaders, responseHeaders, saneRequestId, visibleHeaders } from '../../src/api/control-headers.ts';

test('headers by which routers steer never come from a client', () => {
  const forged = {
    'x-gateway-destination-endpoint': '10.0.0.1:80',
    'x-llm-d-anything': 'x',
    'x-prefiller-url': 'http://10.0.0.1',
    'x-prefiller-host-port': '10.0.0.1:80',
    'x-signalbox-endpoint': 'x',
    'x-session-token': 'x',
    'x-encoder-hosts-ports': 'x',
    connection: 'close, x-private',
    'x-private': 'x',
    'transfer-encoding': 'chunked',
    host: 'x',
    'content-length': '1',
    'accept-encoding': 'gzip',
  };
  const kept = { authorization: 'Bearer k', 'content-type': 'application/json', 'x-custom': 'kept' };
  assert.deepEqual(requestHeaders({ ...forged, ...kept }), kept);
});

test('an answer keeps its length and loses what belongs to the connection', () => {
  const headers = { 'content-length': '3', connection: 'keep-alive', 'keep-alive': 'timeout=5', server: 'uvicorn' };
  assert.deepEqual(responseHeaders(headers), { 'content-length': '3', server: 'uvicorn' });
});

test('plugins see no secrets', () => {
  const headers = { authorization: 'k', cookie: 'k', 'x-api-key': 'k', 'x-flow': 'seen', accept: undefined };
  assert.deepEqual(visibleHeaders(headers), { 'x-flow': 'seen' });
});

test('a request id is taken over only when it is fit for logs', () => {
  assert.equal(saneRequestId({ 'x-request-id': 'abc-1' }), 'abc-1');
  assert.equal(saneRequestId({ 'x-request-id': 'a b' }), null);
  assert.equal(saneRequestId({ 'x-request-id': 'x'.repeat(129) }), null);
  assert.equal(saneRequestId({}), null);
});
