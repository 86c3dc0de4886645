import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

const types = { A: 1, AAAA: 28, SRV: 33 } as const;

interface Record {
  readonly type: keyof typeof types;
  readonly data: Buffer;
}

/** A DNS server on loopback (RFC 1035) that answers from `zone`, by lower-case name; closed when the test ends. */
export async function startDnsServer(
  t: TestContext,
  zone: Map<string, Record[]>,
): Promise<{ address: string; socket: Socket }> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => socket.send(answerTo(query, zone), from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, socket };
}

export function a(address: string): Record {
  return { type: 'A', data: Buffer.from(address.split('.').map(Number)) };
}

/** @param groups all eight of them */
export function aaaa(...groups: readonly number[]): Record {
  const data = Buffer.alloc(16);
  groups.forEach((group, index) => data.writeUInt16BE(group, index * 2));
  return { type: 'AAAA', data };
}

export function srv(target: string, port: number): Record {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(port, 4);
  return { type: 'SRV', data: Buffer.concat([head, nameBytes(target)]) };
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function answerTo(query: Buffer, zone: ReadonlyMap<string, readonly Record[]>): Buffer {
  const headBytes = 12;
  const labels: string[] = [];
  let at = headBytes;
  for (; query[at]! > 0; at += query[at]! + 1) labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(headBytes, at + 5);
  const records = zone.get(labels.join('.').toLowerCase());
  const answers = (records ?? []).filter((record) => types[record.type] === type);
  const head = Buffer.alloc(headBytes);
  head.writeUInt16BE(query.readUInt16BE(0), 0);
  const [answer, nameError] = [0x8580, 3];
  head.writeUInt16BE(records === undefined ? answer | nameError : answer, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  const bodies = answers.map(({ data }) => {
    const fixed = Buffer.alloc(12);
    fixed.writeUInt16BE(0xc00c, 0); // the question's name
    fixed.writeUInt16BE(type, 2);
    fixed.writeUInt16BE(1, 4);
    fixed.writeUInt16BE(data.length, 10);
    return Buffer.concat([fixed, data]);
  });
  return Buffer.concat([head, question, ...bodies]);
}
