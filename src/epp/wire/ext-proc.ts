import { headerName } from './header-names.ts';
import { framePrefixBytes, writeFramePrefix } from './grpc-frames.ts';
import { FieldReader, MessageWriter } from './protobuf.ts';
import { mapValue, readValue, writeTextEntry, type StructValue } from './struct.ts';

/**
 * The messages of Envoy's external processing that an endpoint picker reads and writes; numbers from
 * envoy/service/ext_proc/v3/external_processor.proto, envoy/config/core/v3/base.proto and
 * envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto.
 */

const noBytes = Buffer.alloc(0);

/** `ProcessingMode.BodySendMode.FULL_DUPLEX_STREAMED`. */
export const fullDuplexStreamed = 4;

/** Lower-case names; a repeated header's values are joined with a comma, as HTTP has it. */
export type HeaderMap = Readonly<Record<string, string>>;

type ProcessingEvent =
  | { readonly type: 'request-headers' | 'response-headers'; readonly headers: HeaderMap; readonly ends: boolean }
  | { readonly type: 'request-body' | 'response-body'; readonly body: Buffer; readonly ends: boolean }
  | { readonly type: 'request-trailers' | 'response-trailers' };

export interface ProcessingRequest {
  /** Null when the message carries nothing that is known here. */
  readonly event: ProcessingEvent | null;
  /** A member of a namespace of the metadata that came with it. */
  metadata(namespace: string, name: string): StructValue | undefined;
  /** How bodies are sent, where the data plane says so (first message only). */
  readonly bodyModes: { readonly request: number; readonly response: number } | null;
}

/** @throws MalformedMessage */
export function readProcessingRequest(message: Buffer): ProcessingRequest {
  let event: ProcessingEvent | null = null;
  let context: FieldReader | null = null;
  let bodyModes: ProcessingRequest['bodyModes'] = null;
  const reader = new FieldReader(message);
  while (reader.next()) {
    switch (reader.number) {
      case 2:
        event = readHeaders('request-headers', reader.inside());
        break;
      case 3:
        event = readHeaders('response-headers', reader.inside());
        break;
      case 4:
        event = readBody('request-body', reader.inside());
        break;
      case 5:
        event = readBody('response-body', reader.inside());
        break;
      case 6:
        event = { type: 'request-trailers' };
        break;
      case 7:
        event = { type: 'response-trailers' };
        break;
      case 8:
        context = reader.inside();
        break;
      case 11:
        bodyModes = readBodyModes(reader.inside());
        break;
    }
  }
  const metadata = (namespace: string, name: string): StructValue | undefined =>
    context === null ? undefined : metadataMember(context, namespace, name);
  return { event, metadata, bodyModes };
}

/** HttpHeaders: 1 headers{1 headers}, 3 end_of_stream. HeaderValue: 1 key, 2 value, 3 raw_value. */
function readHeaders(type: 'request-headers' | 'response-headers', message: FieldReader): ProcessingEvent {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  let ends = false;
  while (message.next()) {
    if (message.number === 3) ends = message.value !== 0;
    if (message.number !== 1) continue;
    const list = message.inside();
    const header = message.inside();
    while (list.next()) {
      if (list.number !== 1) continue;
      header.moveTo(list.start, list.end);
      let name = '';
      let value = '';
      while (header.next()) {
        if (header.number === 1) name = headerName(header.bytes, header.start, header.end);
        else if (header.number === 3) value = header.latin1();
        else if (header.number === 2 && header.end > header.start) value = header.text();
      }
      headers[name] = name in headers ? `${headers[name]},${value}` : value;
    }
  }
  return { type, headers, ends };
}

/** HttpBody: 1 body, 2 end_of_stream. */
function readBody(type: 'request-body' | 'response-body', message: FieldReader): ProcessingEvent {
  let body: Buffer = noBytes;
  let ends = false;
  while (message.next()) {
    if (message.number === 1) body = message.content();
    else if (message.number === 2) ends = message.value !== 0;
  }
  return { type, body, ends };
}

/** ProtocolConfiguration: 1 request_body_mode, 2 response_body_mode. */
function readBodyModes(message: FieldReader): { request: number; response: number } {
  const modes = { request: 0, response: 0 };
  while (message.next()) {
    if (message.number === 1) modes.request = message.value;
    else if (message.number === 2) modes.response = message.value;
  }
  return modes;
}

/** Metadata: 1 filter_metadata, a map of Structs. Struct: 1 fields, a map of Values. */
function metadataMember(context: FieldReader, namespace: string, name: string): StructValue | undefined {
  const struct = mapValue(context, 1, namespace);
  const value = struct === null ? null : mapValue(struct, 1, name);
  return value === null ? undefined : readValue(value);
}

/** A message as it is written: its frame, there until the next one is written, and what of a body belongs after it. */
type Message = readonly Buffer[];

interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

const overwriteOrAdd = 2;

/** HeaderMutation: 1 set_headers{1 header{1 key, 3 raw_value}, 3 append_action}, 2 remove_headers. Values go as bytes. */
function writeHeaders(number: number, { set, remove }: HeaderChanges): void {
  const mutation = writer.open(number);
  for (const name in set) {
    const option = writer.open(1);
    const header = writer.open(1);
    writer.text(1, name);
    writer.latin1(3, set[name]!);
    writer.close(header);
    writer.number(3, overwriteOrAdd);
    writer.close(option);
  }
  if (remove !== undefined) for (const name of remove) writer.text(2, name);
  writer.close(mutation);
}

/** Where the data plane finds the endpoints: header and metadata of the same name. */
export const destinationName = 'x-gateway-destination-endpoint';
export const destinationNamespace = 'envoy.lb';
/** Where it says, in the same namespace, who answered in the end. */
export const servedName = 'x-gateway-destination-endpoint-served';

/**
 * The answer to request headers, of which one that is set names the endpoints (`destinationName`), as does the metadata:
 * CommonResponse{2 header_mutation, 5 clear_route_cache}, 8 dynamic_metadata, and with
 * `sparesAnswer` the wish not to be sent the answer's body: 9 mode_override, whose fields go by the order of a request's
 * parts: headers (1, 2 of the answer), bodies (3, 4), trailers (5, 6).
 */
export function requestHeadersResponse(
  changes: HeaderChanges & { readonly set: { readonly [destinationName]: string } },
  sparesAnswer: boolean,
): Message {
  writer.begin(framePrefixBytes);
  const headers = writer.open(1);
  const common = writer.open(1);
  writeHeaders(2, changes);
  writer.number(5, 1);
  writer.close(common);
  writer.close(headers);
  const metadata = writer.open(8);
  const entry = writer.open(1);
  writer.text(1, destinationNamespace);
  // Value: 5 struct_value
  const value = writer.open(2);
  const struct = writer.open(5);
  writeTextEntry(writer, destinationName, changes.set[destinationName]);
  writer.close(struct);
  writer.close(value);
  writer.close(entry);
  writer.close(metadata);
  if (sparesAnswer) {
    const mode = writer.open(9);
    for (const part of [1, 2, 5, 6]) writer.number(part, sent);
    writer.number(3, fullDuplexStreamed);
    writer.close(mode);
  }
  return finished();
}

/** `ProcessingMode.HeaderSendMode.SEND`. */
const sent = 1;

export function responseHeadersResponse(changes: HeaderChanges): Message {
  writer.begin(framePrefixBytes);
  const headers = writer.open(2);
  const common = writer.open(1);
  writeHeaders(2, changes);
  writer.close(common);
  writer.close(headers);
  return finished();
}

/**
 * One piece of a body: CommonResponse{3 body_mutation{3 streamed_response{1 body, 2 end_of_stream}}}. The body is written
 * last, as it is, so that nobody has to copy it.
 */
export function bodyResponse(side: 'request' | 'response', body: Buffer, ends: boolean): Message {
  const { length } = body;
  writer.begin(framePrefixBytes);
  const response = writer.open(side === 'request' ? 3 : 4);
  const common = writer.open(1);
  const mutation = writer.open(3);
  const streamed = writer.open(3);
  writer.number(2, ends ? 1 : 0);
  if (length > 0) writer.contentHead(1, length);
  writer.close(streamed, length);
  writer.close(mutation, length);
  writer.close(common, length);
  writer.close(response, length);
  const head = writer.finish();
  writeFramePrefix(head, length);
  return length === 0 ? [head] : [head, body];
}

export function trailersResponse(side: 'request' | 'response'): Message {
  writer.begin(framePrefixBytes);
  writer.close(writer.open(side === 'request' ? 5 : 6));
  return finished();
}

/** An answer in place of the endpoint's: 1 status{1 code}, 2 headers, 3 body, 5 details (for access logs). */
export function immediateResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  details: string,
): Message {
  writer.begin(framePrefixBytes);
  const response = writer.open(7);
  const code = writer.open(1);
  writer.number(1, status);
  writer.close(code);
  writeHeaders(2, { set: headers });
  writer.text(3, body);
  writer.text(5, details);
  writer.close(response);
  return finished();
}

/** One for all: a message is written in one go. */
const writer = new MessageWriter();

function finished(): Message {
  const message = writer.finish();
  writeFramePrefix(message, 0);
  return [message];
}
