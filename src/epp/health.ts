import type { Call, Method } from './grpc-server.ts';
import { framePrefixBytes, writeFramePrefix } from './wire/grpc-frames.ts';
import { FieldReader, MessageWriter } from './wire/protobuf.ts';

/** HealthCheckResponse.ServingStatus. */
const serving = 1;
const notServing = 2;

const watchMs = 1000;

interface HealthOptions {
  /** Whether requests can be placed. */
  readonly ready: () => boolean;
}

/** HealthCheckRequest: 1 service. */
function serviceOf(message: Buffer): string {
  let service = '';
  for (const reader = new FieldReader(message); reader.next();) if (reader.number === 1) service = reader.text();
  return service;
}

const writer = new MessageWriter();

/** HealthCheckResponse: 1 status. */
function answer(call: Call, status: number): void {
  writer.begin(framePrefixBytes);
  writer.number(1, status);
  const message = writer.finish();
  writeFramePrefix(message, 0);
  call.send(message);
}

/**
 * The health service grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Whatever name is
 * asked for, the answer is whether requests can be placed; of `liveness` it is that the process runs.
 */
export function healthMethods({ ready }: HealthOptions): Map<string, Method> {
  const statusOf = (service: string): number => (service === 'liveness' || ready() ? serving : notServing);

  const check: Method = (call) => ({
    message(message) {
      answer(call, statusOf(serviceOf(message)));
      call.end();
    },
    halfClosed: () => undefined,
    closed: () => undefined,
  });

  const watch: Method = (call) => {
    let timer: NodeJS.Timeout | null = null;
    return {
      message(message) {
        if (timer !== null) return;
        const service = serviceOf(message);
        let last = statusOf(service);
        answer(call, last);
        timer = setInterval(() => {
          const now = statusOf(service);
          if (now === last) return;
          last = now;
          answer(call, now);
        }, watchMs).unref();
      },
      halfClosed: () => undefined,
      closed() {
        if (timer !== null) clearInterval(timer);
      },
    };
  };
  return new Map([
    ['/grpc.health.v1.Health/Check', check],
    ['/grpc.health.v1.Health/Watch', watch],
  ]);
}
