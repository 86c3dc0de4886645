import { crc32, deflateSync } from 'node:zlib';

/** A square image of one colour, 0 to 255 each (PNG, third edition, sections 5 and 11). */
export function colouredPng(pixels: number, red: number, green: number, blue: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels, 0);
  header.writeUInt32BE(pixels, 4);
  header.set([8, 2, 0, 0, 0], 8); // eight bits a channel, three channels
  const row = Buffer.concat([Buffer.of(0), Buffer.alloc(pixels * 3, Buffer.of(red, green, blue))]);
  const rows = Buffer.concat(Array.from({ length: pixels }, () => row));
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.of()),
  ]);
}

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
