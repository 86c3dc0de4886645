import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadProtos } from './protos.ts';
import { startEpp, type Epp, type EppOptions } from '../../src/epp/epp.ts';
import type { Cleanup } from '../support/command.ts';
import { silent, until } from '../support/fleet-under-test.ts';

/** A message of ext_proc as the independent client has it. */
export type Message = Record<string, unknown>;
type Stream = ClientDuplexStream<Message, Message>;

interface Clients {
  processor: new (address: string, creds: unknown) => { Process(metadata?: Metadata): Stream; close(): void };
  health: new (
    address: string,
    creds: unknown,
  ) => {
    Check(request: Message, done: (error: ServiceError | null, response: { status: string }) => void): void;
    close(): void;
  };
}

function clients(): Clients {
  const definition = loadProtos(['ext_proc.proto', 'health.proto']);
  const loaded = loadPackageDefinition(definition) as unknown as {
    envoy: { service: { ext_proc: { v3: { ExternalProcessor: Clients['processor'] } } } };
    grpc: { health: { v1: { Health: Clients['health'] } } };
  };
  return { processor: loaded.envoy.service.ext_proc.v3.ExternalProcessor, health: loaded.grpc.health.v1.Health };
}

export const { processor: Processor, health: Health } = clients();

/** An endpoint picker in this process, without TLS, ready, closed when the test ends. */
export async function startTestEpp(
  t: Cleanup,
  endpoints: readonly string[],
  options: Partial<EppOptions> = {},
): Promise<Epp & { address: string; adminUrl: string }> {
  const epp = await startEpp({
    ...{ grpcPort: 0, healthPort: 0, adminPort: 0, secureServing: false, endpoints },
    ...{ policy: { environment: {} }, log: silent },
    ...options,
  });
  t.after(() => epp.close(0));
  const adminUrl = `http://127.0.0.1:${epp.adminPort}`;
  await until(async () => {
    const listed = (await (await fetch(`${adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
    return listed.length >= endpoints.length && listed.every(({ ready }) => ready);
  });
  return {
    ...{ grpcPort: epp.grpcPort, healthPort: epp.healthPort, adminPort: epp.adminPort, adminUrl },
    address: `127.0.0.1:${epp.grpcPort}`,
    reload: () => epp.reload(),
    close: (graceMs) => epp.close(graceMs),
    get openStreams() {
      return epp.openStreams;
    },
  };
}

/** One stream of the data plane: what it sends, and what came back in order. */
export class DataPlane {
  readonly received: Message[] = [];
  readonly stream: Stream;
  ended: { code: number; details: string } | null = null;
  readonly #client: { Process(metadata?: Metadata): Stream; close(): void };

  constructor(t: Cleanup, address: string, metadata = new Metadata()) {
    this.#client = new Processor(address, credentials.createInsecure());
    this.stream = this.#client.Process(metadata);
    this.stream.on('data', (message: Message) => this.received.push(message));
    this.stream.on('error', () => undefined);
    this.stream.on('status', (status: { code: number; details: string }) => (this.ended = status));
    t.after(() => {
      this.stream.cancel();
      this.#client.close();
    });
  }

  send(...messages: readonly Message[]): void {
    for (const message of messages) this.stream.write(message);
  }

  /** The next message not yet taken. */
  async next(): Promise<Message> {
    await until(() => this.received.length > 0 || this.ended !== null);
    const message = this.received.shift();
    if (message === undefined) throw new Error(`the stream ended: ${JSON.stringify(this.ended)}`);
    return message;
  }
}

export function headerMap(headers: Record<string, string>): Message {
  return {
    headers: Object.entries(headers).map(([key, value]) => ({ key, raw_value: Buffer.from(value) })),
  };
}

export function requestHeaders(
  headers: Record<string, string> = {},
  rest: Message = {},
  path = '/v1/completions',
): Message {
  const all = {
    ':method': 'POST',
    ':path': path,
    ':authority': 'pool',
    'content-type': 'application/json',
    ...headers,
  };
  return { request_headers: { headers: headerMap(all), end_of_stream: false }, ...rest };
}

export function requestBody(body: string | Buffer, ends = true): Message {
  return { request_body: { body: Buffer.from(body), end_of_stream: ends } };
}

export function answerHeaders(status: number, contentType: string, rest: Message = {}): Message {
  const headers = headerMap({ ':status': String(status), 'content-type': contentType });
  return { response_headers: { headers, end_of_stream: false }, ...rest };
}

export function answerBody(body: string | Buffer, ends: boolean): Message {
  return { response_body: { body: Buffer.from(body), end_of_stream: ends } };
}

/** What a message sets, by header. */
export function setHeaders(message: Message, side: 'request_headers' | 'response_headers'): Record<string, string> {
  const { response } = message[side] as { response: { header_mutation: { set_headers: SetHeader[] } } };
  return Object.fromEntries(
    (response.header_mutation.set_headers ?? []).map(({ header }) => [header.key, header.raw_value.toString()]),
  );
}

interface SetHeader {
  header: { key: string; raw_value: Buffer };
}
