import { bytesField, messageField, numberField, readFields, textField, type Part } from './protobuf.ts';
import { nestedText, readEntry, structMember, type StructValue } from './struct.ts';

/**
 * The messages of Envoy's external processing that an endpoint picker reads and writes; numbers from
 * envoy/service/ext_proc/v3/external_processor.proto, envoy/config/core/v3/base.proto and
 * envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto.
 */

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
  let context: Buffer | null = null;
  let bodyModes: ProcessingRequest['bodyModes'] = null;
  readFields(message, ({ number, bytes }) => {
    if (number === 2) event = readHeaders('request-headers', bytes);
    else if (number === 3) event = readHeaders('response-headers', bytes);
    else if (number === 4) event = readBody('request-body', bytes);
    else if (number === 5) event = readBody('response-body', bytes);
    else if (number === 6) event = { type: 'request-trailers' };
    else if (number === 7) event = { type: 'response-trailers' };
    else if (number === 8) context = bytes;
    else if (number === 11) bodyModes = readBodyModes(bytes);
  });
  const metadata = (namespace: string, name: string): StructValue | undefined =>
    context === null ? undefined : metadataMember(context, namespace, name);
  return { event, metadata, bodyModes };
}

/** HttpHeaders: 1 headers{1 headers}, 3 end_of_stream. HeaderValue: 1 key, 2 value, 3 raw_value. */
function readHeaders(type: 'request-headers' | 'response-headers', message: Buffer): ProcessingEvent {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  let ends = false;
  readFields(message, (field) => {
    if (field.number === 3) ends = field.value !== 0;
    if (field.number !== 1) return;
    readFields(field.bytes, (header) => {
      if (header.number !== 1) return;
      let name = '';
      let value = '';
      readFields(header.bytes, ({ number, bytes }) => {
        if (number === 1) name = bytes.toString().toLowerCase();
        else if (bytes.length > 0) value = bytes.toString(number === 3 ? 'latin1' : 'utf8');
      });
      headers[name] = name in headers ? `${headers[name]},${value}` : value;
    });
  });
  return { type, headers, ends };
}

/** HttpBody: 1 body, 2 end_of_stream. */
function readBody(type: 'request-body' | 'response-body', message: Buffer): ProcessingEvent {
  let body: Buffer = Buffer.alloc(0);
  let ends = false;
  readFields(message, ({ number, value, bytes }) => {
    if (number === 1) body = bytes;
    else if (number === 2) ends = value !== 0;
  });
  return { type, body, ends };
}

/** ProtocolConfiguration: 1 request_body_mode, 2 response_body_mode. */
function readBodyModes(message: Buffer): { request: number; response: number } {
  const modes = { request: 0, response: 0 };
  readFields(message, ({ number, value }) => {
    if (number === 1) modes.request = value;
    else if (number === 2) modes.response = value;
  });
  return modes;
}

/** Metadata: 1 filter_metadata, a map of Structs. */
function metadataMember(context: Buffer, namespace: string, name: string): StructValue | undefined {
  let found: StructValue | undefined;
  readFields(context, ({ number, bytes }) => {
    if (number !== 1) return;
    const { key, value } = readEntry(bytes);
    if (key === namespace) found = structMember(value, name);
  });
  return found;
}

interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

const overwriteOrAdd = 2;

/** HeaderMutation: 1 set_headers{1 header, 3 append_action}, 2 remove_headers. Values go as raw bytes. */
function headerMutation({ set, remove = [] }: HeaderChanges): Part {
  return [
    ...Object.entries(set).flatMap(([name, value]) =>
      messageField(
        1,
        messageField(1, textField(1, name), bytesField(3, Buffer.from(value, 'latin1'))),
        numberField(3, overwriteOrAdd),
      ),
    ),
    ...remove.flatMap((name) => textField(2, name)),
  ];
}

/** Where the data plane finds the endpoints: header and metadata of the same name. */
export const destinationName = 'x-gateway-destination-endpoint';
export const destinationNamespace = 'envoy.lb';
/** Where it says, in the same namespace, who answered in the end. */
export const servedName = 'x-gateway-destination-endpoint-served';

/** The answer to request headers: CommonResponse{2 header_mutation, 5 clear_route_cache}, and 8 dynamic_metadata. */
export function requestHeadersResponse(changes: HeaderChanges, destination: string): Part {
  const set = { ...changes.set, [destinationName]: destination };
  const common = messageField(1, messageField(2, headerMutation({ ...changes, set })), numberField(5, 1));
  return [
    ...messageField(1, common),
    ...messageField(8, nestedText(destinationNamespace, destinationName, destination)),
  ];
}

export function responseHeadersResponse(changes: HeaderChanges): Part {
  return messageField(2, messageField(1, messageField(2, headerMutation(changes))));
}

/** One piece of a body: BodyMutation{3 streamed_response{1 body, 2 end_of_stream}}. */
export function bodyResponse(side: 'request' | 'response', body: Buffer, ends: boolean): Part {
  const streamed = messageField(3, body.length === 0 ? [] : bytesField(1, body), numberField(2, ends ? 1 : 0));
  return messageField(side === 'request' ? 3 : 4, messageField(1, messageField(3, streamed)));
}

export function trailersResponse(side: 'request' | 'response'): Part {
  return messageField(side === 'request' ? 5 : 6);
}

/** An answer in place of the endpoint's: 1 status{1 code}, 2 headers, 3 body, 5 details (for access logs). */
export function immediateResponse(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  details: string,
): Part {
  const code = messageField(1, numberField(1, status));
  const mutation = messageField(2, headerMutation({ set: headers }));
  return messageField(7, code, mutation, textField(3, body), textField(5, details));
}
