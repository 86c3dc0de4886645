import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { errorTable, messageOf, SignalboxError, type ErrorCode } from '../base/errors.ts';
import type { StackState } from './state.ts';

const orderSchema = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('scale'), role: z.enum(['decode', 'prefill']), replicas: z.int().min(0).max(64) }),
  z.strictObject({ do: z.literal('delete'), pod: z.string() }),
  z.strictObject({ do: z.literal('down') }),
]);

/** What another command may ask of a running stack. */
export type Order = z.infer<typeof orderSchema>;

const answerSchema = z.union([
  z.strictObject({ done: z.literal(true) }),
  z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) }),
]);

interface ControlServer {
  readonly port: number;
  readonly token: string;
  close(): void;
}

/** Takes orders on a loopback port from whoever can read the token in the stack's state file. */
export async function startControlServer(obey: (order: Order) => Promise<void>): Promise<ControlServer> {
  const token = randomBytes(24).toString('base64url');
  const server = createServer((asked, answer) => {
    void respond(asked, token, obey).then((body) => {
      answer.setHeader('connection', 'close').end(JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, token, close: () => server.close() };
}

async function respond(
  asked: IncomingMessage,
  token: string,
  obey: (order: Order) => Promise<void>,
): Promise<z.infer<typeof answerSchema>> {
  try {
    if (!isSame(asked.headers.authorization ?? '', `Bearer ${token}`)) {
      throw new SignalboxError('request_invalid', 'the control token is missing or wrong');
    }
    const order = orderSchema.safeParse(JSON.parse(await text(asked)));
    if (!order.success) throw new SignalboxError('request_invalid', z.prettifyError(order.error));
    await obey(order.data);
    return { done: true };
  } catch (error) {
    const code = error instanceof SignalboxError ? error.code : 'internal';
    return { error: { code, message: messageOf(error) } };
  }
}

/** Gives a running stack an order and waits until it is carried out. Throws what the stack answered. */
export async function giveOrder(state: StackState, order: Order): Promise<void> {
  const asked = request({
    host: '127.0.0.1',
    port: state.control.port,
    method: 'POST',
    headers: { authorization: `Bearer ${state.control.token}` },
  });
  asked.end(JSON.stringify(order));
  const [reply] = (await once(asked, 'response')) as [IncomingMessage];
  const answer = answerSchema.parse(JSON.parse(await text(reply)));
  if ('done' in answer) return;
  const { code, message } = answer.error;
  throw new SignalboxError(code in errorTable ? (code as ErrorCode) : 'internal', message);
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
