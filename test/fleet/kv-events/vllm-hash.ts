import { createHash } from 'node:crypto';

/*
 * vLLM's own block hashes with `--prefix-caching-hash-algo sha256_cbor`, to hold what was decoded against them:
 * SHA-256 over canonical CBOR (RFC 8949) of [parent digest, tokens, extra keys].
 */
type Cbor = null | number | string | Uint8Array | readonly Cbor[];

function head(major: number, length: number): Buffer {
  if (length < 24) return Buffer.from([(major << 5) | length]);
  if (length < 256) return Buffer.from([(major << 5) | 24, length]);
  if (length < 65536) return Buffer.from([(major << 5) | 25, length >> 8, length & 255]);
  const bytes = Buffer.alloc(5);
  bytes[0] = (major << 5) | 26;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

function cbor(value: Cbor): Buffer {
  if (value === null) return Buffer.from([0xf6]);
  if (typeof value === 'number') return head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
}

const digest = (value: Cbor): Buffer => createHash('sha256').update(cbor(value)).digest();

/** Where chains start: with `PYTHONHASHSEED` as given, or without one. */
export const rootDigest = (seed: string | null): Buffer => digest(seed ?? 'vllm-none-hash');

/** Of a block's extra keys as events have them; the adapter's path is in the hash and not in the event. */
export function blockDigest(
  parent: Buffer,
  tokens: readonly number[],
  extra: readonly string[] | null,
  lora: { name: string; path: string } | null,
): Buffer {
  const tagged = extra?.map((key) =>
    lora !== null && key === lora.name ? ['lora', lora.name, lora.path] : ['cache_salt', key],
  );
  return digest([parent, tokens, tagged ?? null]);
}

/** As events have it: the last 8 bytes as an unsigned number. */
export const eventHash = (of: Buffer): bigint => of.readBigUInt64BE(24);
