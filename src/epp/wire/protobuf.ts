/**
 * Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/), as far as the messages here need it:
 * varints below 2^53, doubles, and length-delimited fields. What is not asked for is skipped.
 */

/** Wire types, the low three bits of a field's tag. */
const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;

export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** A field as it was found. `bytes` is a view into the message, empty unless it is length-delimited. */
interface Field {
  readonly number: number;
  /** Of a varint or a double. */
  readonly value: number;
  readonly bytes: Buffer;
}

const noBytes = Buffer.alloc(0);

/** Calls `take` for each field in order. @throws MalformedMessage */
export function readFields(message: Buffer, take: (field: Field) => void): void {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = message[at++];
      if (byte === undefined) throw new MalformedMessage('the message ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new MalformedMessage('a number is too long');
  };
  const skip = (length: number): number => {
    const from = at;
    at += length;
    if (at > message.length) throw new MalformedMessage('the message ends within a field');
    return from;
  };
  while (at < message.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw new MalformedMessage('a field has the number 0');
    switch (tag % 8) {
      case varint:
        take({ number, value: readVarint(), bytes: noBytes });
        break;
      case fixed64:
        take({ number, value: message.readDoubleLE(skip(8)), bytes: noBytes });
        break;
      case delimited: {
        const length = readVarint();
        const from = skip(length);
        take({ number, value: 0, bytes: message.subarray(from, at) });
        break;
      }
      case fixed32:
        skip(4);
        break;
      default:
        throw new MalformedMessage(`field ${number} has the unknown wire type ${tag % 8}`);
    }
  }
}

/** The bytes of a message, or a part of one. */
export type Part = readonly Buffer[];

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

/** A number (enum, bool, unsigned integer). 0 is the default and is left out. */
export function numberField(number: number, value: number): Part {
  return value === 0 ? [] : [Buffer.from([...varintBytes(number * 8 + varint), ...varintBytes(value)])];
}

export function bytesField(number: number, bytes: Buffer): Part {
  return [Buffer.from([...varintBytes(number * 8 + delimited), ...varintBytes(bytes.length)]), bytes];
}

export function textField(number: number, text: string): Part {
  return bytesField(number, Buffer.from(text));
}

/** A message within a message; written even where it is empty, for its presence means something. */
export function messageField(number: number, ...parts: readonly Part[]): Part {
  const content = parts.flat();
  const length = content.reduce((sum, { length }) => sum + length, 0);
  return [Buffer.from([...varintBytes(number * 8 + delimited), ...varintBytes(length)]), ...content];
}
