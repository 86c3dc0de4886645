/**
 * Heads of HTTP/1.1 messages (RFC 9112), read so that two readers cannot come to different ends: whatever the RFC lets a
 * reader be lenient about is refused (bare LF or CR, folded lines, space around names, several lengths).
 */

/** By lower-case names. Those that may come several times are joined as node:http joins them. */
export type Headers = Record<string, string | string[]>;

interface MessageHead {
  readonly startLine: string;
  readonly headers: Headers;
}

/** Thrown at a head that is refused; the message says why. */
export class BadMessage extends Error {
  readonly status: 400 | 408 | 413 | 417 | 431 | 501 | 505;

  constructor(message: string, status: BadMessage['status'] = 400) {
    super(message);
    this.status = status;
  }
}

export const maxHeadBytes = 32 * 1024;
const maxHeaders = 200;

/** Anything but tab, what prints, and bytes above ASCII; line ends that are not CRLF among it. */
const unfit = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?:^|[^\r])\n/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Two of them make it doubtful what was meant. */
const onceOnly = new Set(['host', 'content-length', 'transfer-encoding', 'content-type', 'authorization', 'expect']);
/** Of several the first counts, as in node:http. */
const firstCounts = new Set(
  'age etag expires from if-modified-since if-unmodified-since last-modified location max-forwards proxy-authorization referer retry-after server user-agent'.split(
    ' ',
  ),
);

/** Reads a head without its last, empty line. @throws BadMessage */
export function parseHead(text: string): MessageHead {
  if (unfit.test(text)) throw new BadMessage('its head has characters or line ends that HTTP does not allow');
  let end = text.indexOf('\r\n');
  const startLine = end < 0 ? text : text.slice(0, end);
  const headers = Object.create(null) as Headers;
  let count = 0;
  while (end >= 0) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (++count > maxHeaders) throw new BadMessage(`it has more than ${maxHeaders} headers`, 431);
    addHeader(headers, end < 0 ? text.slice(start) : text.slice(start, end));
  }
  return { startLine, headers };
}

function addHeader(headers: Headers, line: string): void {
  const colon = line.indexOf(':');
  const sent = line.slice(0, colon);
  if (colon <= 0 || !token.test(sent)) throw new BadMessage('it has a header line that is none');
  const name = sent.toLowerCase();
  const value = line.slice(colon + 1).trim();
  const before = headers[name];
  if (name === 'set-cookie') {
    headers[name] = before === undefined ? [value] : [...before, value];
  } else if (before === undefined) {
    headers[name] = value;
  } else if (onceOnly.has(name)) {
    throw new BadMessage(`it has "${name}" twice`);
  } else if (!firstCounts.has(name)) {
    headers[name] = `${before as string}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
}

/** How long a body is: so many bytes, in chunks, or not said. @throws BadMessage */
export function bodyFraming(headers: Headers, isHttp10: boolean): number | 'chunked' | null {
  const encoding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (encoding !== undefined) {
    if (length !== undefined) throw new BadMessage('it has both a content-length and a transfer-encoding');
    if (isHttp10) throw new BadMessage('it has a transfer-encoding, which HTTP/1.0 does not know');
    if (String(encoding).toLowerCase() !== 'chunked') {
      throw new BadMessage('it has a transfer-encoding other than "chunked"', 501);
    }
    return 'chunked';
  }
  if (length === undefined) return null;
  if (!/^\d{1,15}$/.test(String(length))) throw new BadMessage('its content-length is not a number');
  return Number(length);
}

const fitValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The lines of a head to be sent. @throws TypeError at what would break it. */
export function headerLines(headers: Readonly<Record<string, string | string[] | number | undefined>>): string {
  let text = '';
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    if (!Array.isArray(value)) text += headerLine(name, value);
    else for (const each of value) text += headerLine(name, each);
  }
  return text;
}

function headerLine(name: string, value: string | number): string {
  if (typeof value === 'string' && !fitValue.test(value)) throw new TypeError(`header "${name}" cannot be sent`);
  return `${name}: ${value}\r\n`;
}

/** Whether the connection ends with this message. */
export function closesAfter(headers: Headers, isHttp10: boolean): boolean {
  const connection = headers['connection'];
  if (connection === undefined) return isHttp10;
  const options = String(connection)
    .toLowerCase()
    .split(/[\s,]+/);
  return options.includes('close') || (isHttp10 && !options.includes('keep-alive'));
}
