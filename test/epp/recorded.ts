import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../support/command.ts';
import { loadProtos } from './protos.ts';
import type { Message } from './wire-client.ts';

/** Exchanges of a real data plane with the endpoint picker, as `record-exchanges.ts` writes them. */
export interface Recording {
  /** Who asked. */
  readonly peer: string;
  readonly connections: readonly RecordedConnection[];
}

export interface RecordedConnection {
  /** What the peer sent, in base64, as it was read. */
  readonly sent: readonly string[];
  /** What each of its streams was answered, in order: the kinds of messages. */
  readonly answers: Readonly<Record<string, readonly string[]>>;
}

export const recordingsFolder = join(repository, 'testdata/ext-proc');

export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(join(recordingsFolder, `${name}.json`), 'utf8')) as Recording;
}

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const frameType = { data: 0, headers: 1, rstStream: 3 };

/** What one side of a connection said on one stream. */
export interface Said {
  readonly data: Buffer;
  readonly headerBlocks: readonly Buffer[];
  readonly wasReset: boolean;
}

/** Reads frames (RFC 9113 section 4.1) without padding, of one side and from its beginning, by stream. */
export function saidByStream(bytes: Buffer): Map<number, Said> {
  const said = new Map<number, { data: Buffer; headerBlocks: Buffer[]; wasReset: boolean }>();
  let at = bytes.toString('latin1', 0, preface.length) === preface ? preface.length : 0;
  while (at + 9 <= bytes.length) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    const type = bytes[at + 3];
    const id = bytes.readUInt32BE(at + 5);
    const payload = bytes.subarray(at + 9, end);
    const stream = said.get(id) ?? { data: Buffer.alloc(0), headerBlocks: [], wasReset: false };
    if (id > 0) said.set(id, stream);
    if (type === frameType.data) stream.data = Buffer.concat([stream.data, payload]);
    else if (type === frameType.headers) stream.headerBlocks.push(payload);
    else if (type === frameType.rstStream) stream.wasReset = true;
    at = end;
  }
  return said;
}

interface Codec {
  readonly path: string;
  requestDeserialize(bytes: Buffer): Message;
  responseDeserialize(bytes: Buffer): Message;
}

const services = loadProtos(['ext_proc.proto', 'health.proto']) as unknown as Record<string, Record<string, Codec>>;
const { Process } = services['envoy.service.ext_proc.v3.ExternalProcessor']!;

/** The messages of ext_proc in what was said on a stream, read by an independent implementation. */
export function messages(data: Buffer, side: 'requestDeserialize' | 'responseDeserialize'): Message[] {
  const read: Message[] = [];
  for (let at = 0; at + 5 <= data.length;) {
    const end = at + 5 + data.readUInt32BE(at + 1);
    read.push(Process![side](data.subarray(at + 5, end)));
    at = end;
  }
  return read;
}

const kinds = [
  ...['request_headers', 'request_body', 'request_trailers'],
  ...['response_headers', 'response_body', 'response_trailers', 'immediate_response'],
];

/** What kind of ext_proc's messages it is. */
function kindOf(message: Message): string {
  return kinds.find((kind) => kind in message) ?? 'nothing';
}

/** The health service's answer that all is well, framed. */
const serving = Buffer.from('00000000020801', 'hex');

/** What was answered on a stream, by kinds of messages. */
export function kindsOf(data: Buffer): string[] {
  return data.equals(serving) ? ['serving'] : messages(data, 'responseDeserialize').map(kindOf);
}

/** The pieces of a body among messages of a kind, put together. */
export function bodyOf(sent: readonly Message[], kind: 'request_body' | 'response_body'): Buffer {
  const pieces = sent.filter((message) => kind in message).map((message) => pieceOf(message[kind] as Message));
  return Buffer.concat(pieces.map((piece) => (piece.body as Buffer | undefined) ?? Buffer.alloc(0)));
}

/** Of a request as it is, of an answer what it has in place of it. */
function pieceOf(body: Message): { body?: unknown } {
  const { response } = body as { response?: { body_mutation: { streamed_response: Message } } };
  return response === undefined ? body : response.body_mutation.streamed_response;
}
