import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import { selfSignedCertificate } from '../../src/proxy/certificate.ts';
import { bodyResponse, immediateResponse, readProcessingRequest } from '../../src/epp/wire/ext-proc.ts';
import { framePrefixBytes, FrameReader, GrpcError, writeFramePrefix } from '../../src/epp/wire/grpc-frames.ts';
import { MalformedMessage } from '../../src/epp/wire/protobuf.ts';

/** An independent reader and writer of the same messages. */
interface Codec {
  serialize(value: object): Buffer;
  deserialize(bytes: Buffer): Record<string, unknown>;
}

const definition = loadSync(join(import.meta.dirname, 'ext_proc.proto'), { keepCase: true, oneofs: true });
const service = definition['envoy.service.ext_proc.v3.ExternalProcessor'] as unknown as {
  Process: {
    requestSerialize: Codec['serialize'];
    responseDeserialize: Codec['deserialize'];
  };
};
const { requestSerialize, responseDeserialize } = service.Process;

test('what an independent writer writes is read as it was meant', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).filter((each) => each !== '__proto__');
  const value = fc.stringMatching(/^[\x20-\x7e]{0,200}$/);
  fc.assert(
    fc.property(fc.dictionary(name, value), fc.boolean(), fc.string(), (headers, ends, hint) => {
      const message = requestSerialize({
        request_headers: {
          headers: { headers: Object.entries(headers).map(([key, text]) => ({ key, raw_value: Buffer.from(text) })) },
          end_of_stream: ends,
        },
        metadata_context: { filter_metadata: { space: { fields: { member: { stringValue: hint } } } } },
        protocol_config: { request_body_mode: 4, response_body_mode: 4 },
      });
      const read = readProcessingRequest(message);
      assert.ok(read.event?.type === 'request-headers');
      assert.deepEqual({ ...read.event.headers }, { ...headers });
      assert.equal(read.event.ends, ends);
      assert.equal(read.metadata('space', 'member'), hint);
      assert.deepEqual(read.bodyModes, { request: 4, response: 4 });
    }),
  );
});

/** The one message in a frame. */
function unframed(pieces: readonly Buffer[]): Buffer {
  const messages: Buffer[] = [];
  new FrameReader(1_000_000, { message: (message) => messages.push(Buffer.from(message)) }).push(Buffer.concat(pieces));
  assert.equal(messages.length, 1);
  return messages[0]!;
}

test('what we write, an independent reader reads', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), fc.boolean(), (bytes, ends) => {
      const message = unframed(bodyResponse('response', Buffer.from(bytes), ends));
      const { response_body } = responseDeserialize(message) as { response_body: { response: Streamed } };
      const { body, end_of_stream } = response_body.response.body_mutation.streamed_response;
      // proto3 leaves defaults out
      assert.ok(Buffer.from(bytes).equals(body ?? Buffer.alloc(0)));
      assert.equal(end_of_stream ?? false, ends);
    }),
  );
  const immediate = responseDeserialize(unframed(immediateResponse(503, { a: 'b' }, '{}', 'why')));
  const { status, body, details } = immediate['immediate_response'] as {
    status: object;
    body: Buffer;
    details: string;
  };
  assert.deepEqual({ status, body: body.toString(), details }, { status: { code: 503 }, body: '{}', details: 'why' });
});

interface Streamed {
  body_mutation: { streamed_response: { body?: Buffer; end_of_stream?: boolean } };
}

test('any bytes are read, or refused as malformed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        readProcessingRequest(Buffer.from(bytes)).metadata('a', 'b');
      } catch (error) {
        assert.ok(error instanceof MalformedMessage, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('messages arrive whole however their bytes are cut', () => {
  const message = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.nat(50)), (messages, cuts) => {
      const bytes = Buffer.concat(
        messages.map((each) => {
          const frame = Buffer.concat([Buffer.alloc(framePrefixBytes), each]);
          writeFramePrefix(frame, 0);
          return frame;
        }),
      );
      const taken: Buffer[] = [];
      const reader = new FrameReader(1000, { message: (each) => taken.push(Buffer.from(each)) });
      let at = 0;
      for (const cut of cuts) reader.push(bytes.subarray(at, (at += cut)));
      if (at < bytes.length) reader.push(bytes.subarray(at));
      assert.deepEqual(
        taken.map((each) => [...each]),
        messages.map((each) => [...each]),
      );
    }),
  );
});

test('compressed and oversized messages are refused at their prefix', () => {
  const take = { message: () => assert.fail('nothing is taken') };
  assert.throws(() => new FrameReader(1000, take).push(Buffer.from([1, 0, 0, 0, 1])), statusIs(12));
  assert.throws(() => new FrameReader(1000, take).push(Buffer.from([0, 0x7f, 0, 0, 0])), statusIs(8));
});

function statusIs(code: number): (error: unknown) => boolean {
  return (error) => error instanceof GrpcError && error.code === code;
}

test('the certificate of our own is one: signed with its key, valid now, for localhost', () => {
  const nowMs = Date.now();
  const { cert } = selfSignedCertificate(nowMs);
  const read = new X509Certificate(cert);
  assert.ok(read.verify(read.publicKey));
  assert.equal(read.subject, 'CN=signalbox');
  assert.equal(read.checkHost('localhost'), 'localhost');
  assert.ok(Date.parse(read.validFrom) < nowMs && Date.parse(read.validTo) > nowMs);
});
