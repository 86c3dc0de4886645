import { framePrefixBytes, writeFramePrefix } from './grpc-frames.ts';
import { FieldReader, MessageWriter } from './protobuf.ts';

/**
 * The messages of Envoy's endpoint discovery that a server of one cluster reads and writes; numbers from
 * envoy/service/discovery/v3/discovery.proto and envoy/config/endpoint/v3/endpoint.proto.
 */

const assignmentType = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';

interface DiscoveryRequest {
  /** Clusters that are asked for. */
  readonly names: readonly string[];
  /** Of the answer that this one acknowledges or refuses; empty when it is the first. */
  readonly nonce: string;
  /** Why the last answer was refused. */
  readonly error: string | null;
}

/** 3 resource_names, 5 response_nonce, 6 error_detail{2 message}. @throws MalformedMessage */
export function readDiscoveryRequest(message: Buffer): DiscoveryRequest {
  const names: string[] = [];
  let nonce = '';
  let error: string | null = null;
  const reader = new FieldReader(message);
  while (reader.next()) {
    if (reader.number === 3) names.push(reader.text());
    else if (reader.number === 5) nonce = reader.text();
    else if (reader.number === 6) {
      error = '';
      const detail = reader.inside();
      while (detail.next()) if (detail.number === 2) error = detail.text();
    }
  }
  return { names, nonce, error };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * 1 version_info, 2 resources: Any{1 type_url, 2 value}, 4 type_url, 5 nonce, framed. The value is a
 * ClusterLoadAssignment{1 cluster_name, 2 endpoints{2 lb_endpoints{1 endpoint{1 address{1 socket_address{2 address,
 * 3 port_value}}}}}}.
 */
export function discoveryResponse(version: string, cluster: string, addresses: readonly Address[]): Buffer {
  writer.begin(framePrefixBytes);
  writer.text(1, version);
  const resource = writer.open(2);
  writer.text(1, assignmentType);
  const assignment = writer.open(2);
  writer.text(1, cluster);
  const locality = writer.open(2);
  for (const { host, port } of addresses) {
    const opened = [writer.open(2), writer.open(1), writer.open(1), writer.open(1)];
    writer.text(2, host);
    writer.number(3, port);
    for (const field of opened.reverse()) writer.close(field);
  }
  writer.close(locality);
  writer.close(assignment);
  writer.close(resource);
  writer.text(4, assignmentType);
  writer.text(5, version);
  const message = writer.finish();
  writeFramePrefix(message, 0);
  return message;
}

const writer = new MessageWriter();
