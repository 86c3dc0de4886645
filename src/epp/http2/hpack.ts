import { Http2Error } from './http2-error.ts';
import { huffmanText } from './huffman.ts';

/** RFC 7541 appendix A. */
const staticTable: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => [':status', status] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control',
    'content-disposition content-encoding content-language content-length content-location content-range content-type',
    'cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since',
    'last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after',
    'server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate',
  ].flatMap((names) => names.split(' ').map((name) => [name, ''] as const)),
];

/** What an entry counts for beside its characters (RFC 7541 section 4.1). */
const entryOverheadBytes = 32;
const largestTableBytes = 4096;
/** Of all headers of a request together. */
const largestListBytes = 64 * 1024;

export type Headers = Readonly<Record<string, string>>;
type Entry = readonly [name: string, value: string];

/** Reads header blocks (RFC 7541) of one connection, in the order in which they come. */
export class HpackDecoder {
  /** The newest first. */
  readonly #table: Entry[] = [];
  #tableBytes = 0;
  #limitBytes = largestTableBytes;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  /** How often the table has changed. */
  #changes = 0;
  /** A block read since then that changed nothing: a data plane sends the same one with every request. */
  #usual: { readonly block: Buffer; readonly headers: Headers; readonly changes: number } | null = null;

  /** Lower-case names; of repeated ones the last counts. @throws Http2Error */
  read(block: Buffer): Headers {
    const usual = this.#usual;
    if (usual !== null && usual.changes === this.#changes && usual.block.equals(block)) return usual.headers;
    const changes = this.#changes;
    const headers = this.#read(block);
    if (changes === this.#changes) this.#usual = { block: Buffer.from(block), headers, changes };
    return headers;
  }

  #read(block: Buffer): Headers {
    this.#block = block;
    this.#at = 0;
    let bytes = 0;
    const headers = Object.create(null) as Record<string, string>;
    while (this.#at < block.length) {
      const entry = this.#entry(block[this.#at]!);
      if (entry === null) continue;
      const [name, value] = entry;
      bytes += name.length + value.length + entryOverheadBytes;
      if (bytes > largestListBytes) throw new Http2Error('enhanceYourCalm', 'the headers are too long');
      headers[name] = value;
    }
    return headers;
  }

  /** Null where the field only says how large the table may be. */
  #entry(first: number): Entry | null {
    if (first >= 0x80) return this.#indexed(this.#number(7));
    if (first >= 0x40) {
      const entry = this.#literal(6);
      this.#add(entry);
      return entry;
    }
    if (first < 0x20) return this.#literal(4);
    const limit = this.#number(5);
    if (limit > largestTableBytes) throw malformed('a table larger than was allowed');
    this.#changes++;
    this.#limitBytes = limit;
    this.#shrink();
    return null;
  }

  #literal(prefixBits: number): Entry {
    const index = this.#number(prefixBits);
    const name = index === 0 ? this.#text() : this.#indexed(index)[0];
    return [name, this.#text()];
  }

  #indexed(index: number): Entry {
    const entry = staticTable[index - 1] ?? this.#table[index - 1 - staticTable.length];
    if (entry === undefined) throw malformed(`no header has the index ${index}`);
    return entry;
  }

  #add(entry: Entry): void {
    this.#changes++;
    this.#table.unshift(entry);
    this.#tableBytes += sizeOf(entry);
    this.#shrink();
  }

  #shrink(): void {
    while (this.#tableBytes > this.#limitBytes) this.#tableBytes -= sizeOf(this.#table.pop()!);
  }

  /** RFC 7541 section 5.1. */
  #number(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let scale = 1; scale <= 128 ** 3; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw malformed('a number is too large');
  }

  #text(): string {
    const isHuffman = this.#block[this.#at]! >= 0x80;
    const length = this.#number(7);
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#block.length) throw malformed('it ends within a text');
    if (!isHuffman) return this.#block.toString('latin1', from, this.#at);
    const text = huffmanText(this.#block, from, this.#at);
    if (text === null) throw malformed('a text is not in the code');
    return text;
  }

  #byte(): number {
    if (this.#at >= this.#block.length) throw malformed('it ends too soon');
    return this.#block[this.#at++]!;
  }
}

function sizeOf([name, value]: Entry): number {
  return name.length + value.length + entryOverheadBytes;
}

function malformed(what: string): Http2Error {
  return new Http2Error('compressionError', `a header block cannot be read: ${what}`);
}

/** A header block that leaves the peer's table alone. Names and values are ASCII, names shorter than 127. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(headers)) {
    parts.push(Buffer.from([0, name.length]), Buffer.from(name), lengthOf(value), Buffer.from(value));
  }
  return Buffer.concat(parts);
}

function lengthOf({ length }: string): Buffer {
  if (length < 127) return Buffer.from([length]);
  const rest: number[] = [];
  let left = length - 127;
  for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) + 128);
  return Buffer.from([127, ...rest, left]);
}
