/** A value that MessagePack can hold, of the kinds that are written here. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly MsgpackValue[]
  | { readonly [key: string]: MsgpackValue | undefined };

/** MessagePack of a value. Whole numbers take their shortest form; a member that is undefined is left out. */
export function encodeMsgpack(value: MsgpackValue): Buffer {
  const parts: Buffer[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

function write(value: MsgpackValue, parts: Buffer[]): void {
  if (value === null) parts.push(Buffer.from([0xc0]));
  else if (typeof value === 'boolean') parts.push(Buffer.from([value ? 0xc3 : 0xc2]));
  else if (typeof value === 'number') parts.push(Number.isInteger(value) ? integer(value) : double(value));
  else if (typeof value === 'bigint') parts.push(bigInteger(value));
  else if (typeof value === 'string') parts.push(text(value));
  else if (value instanceof Uint8Array) parts.push(head(value.length, null, 0, [0xc4, 0xc5, 0xc6]), Buffer.from(value));
  else if (isArray(value)) {
    parts.push(head(value.length, 0x90, 16, [null, 0xdc, 0xdd]));
    for (const item of value) write(item, parts);
  } else {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    parts.push(head(members.length, 0x80, 16, [null, 0xde, 0xdf]));
    for (const [key, member] of members) {
      parts.push(text(key));
      write(member!, parts);
    }
  }
}

function isArray(value: object): value is readonly MsgpackValue[] {
  return Array.isArray(value);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([head(bytes.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), bytes]);
}

/** A length: within the tag itself below `limit`, else in 1, 2 or 4 bytes after the tags of `wide`. */
function head(length: number, fixed: number | null, limit: number, wide: readonly (number | null)[]): Buffer {
  if (fixed !== null && length < limit) return Buffer.from([fixed | length]);
  if (length < 256 && wide[0] !== null) return Buffer.from([wide[0]!, length]);
  const bytes = Buffer.alloc(length < 65536 ? 3 : 5);
  bytes[0] = (length < 65536 ? wide[1] : wide[2])!;
  if (length < 65536) bytes.writeUInt16BE(length, 1);
  else bytes.writeUInt32BE(length, 1);
  return bytes;
}

function integer(value: number): Buffer {
  if (value >= 0 && value < 128) return Buffer.from([value]);
  if (value < 0 && value >= -32) return Buffer.from([256 + value]);
  if (value < 0 || value >= 2 ** 32) return bigInteger(BigInt(value));
  if (value < 256) return Buffer.from([0xcc, value]);
  const bytes = Buffer.alloc(value < 65536 ? 3 : 5);
  bytes[0] = value < 65536 ? 0xcd : 0xce;
  if (value < 65536) bytes.writeUInt16BE(value, 1);
  else bytes.writeUInt32BE(value, 1);
  return bytes;
}

function bigInteger(value: bigint): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = value < 0n ? 0xd3 : 0xcf;
  if (value < 0n) bytes.writeBigInt64BE(value, 1);
  else bytes.writeBigUInt64BE(value, 1);
  return bytes;
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}
