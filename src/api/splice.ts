import { byteSlabs } from '../base/byte-slabs.ts';

/**
 * Removes top-level members from a JSON object in its bytes, leaving every other byte as it came.
 * The body must be valid JSON with an object at its top (it has been parsed before).
 */
export function removeMembers(body: Buffer, names: ReadonlySet<string>): Buffer {
  const kept: Buffer[] = [];
  const members = topLevelMembers(body);
  const survivors = members.filter((member) => !names.has(member.name));
  if (survivors.length === members.length) return body;
  kept.push(Buffer.from('{'));
  for (const [index, member] of survivors.entries()) {
    if (index > 0) kept.push(Buffer.from(','));
    kept.push(body.subarray(member.start, member.end));
  }
  kept.push(Buffer.from('}'));
  return Buffer.concat(kept);
}

/** Gives a top-level member another value, JSON text; one of several of its name is left. */
export function replaceMember(body: Buffer, name: string, value: string): Buffer {
  const rest = removeMembers(body, new Set([name]));
  const member = `{${JSON.stringify(name)}:${value}}`;
  return rest.length === emptyObjectBytes ? Buffer.from(member) : insertMember(rest, name, value);
}

const emptyObjectBytes = 2;

/**
 * Puts a member, whose value is JSON text, before the others of an object that has some. The memory is of `byteSlabs`, for
 * whoever knows when it is read no more.
 */
export function insertMember(body: Buffer, name: string, value: string): Buffer {
  const start = body.indexOf('{') + 1;
  const member = Buffer.from(`${JSON.stringify(name)}:${value},`);
  const length = body.length + member.length;
  const whole = byteSlabs.take(length);
  whole.set(body.subarray(0, start));
  whole.set(member, start);
  whole.set(body.subarray(start), start + member.length);
  return whole.subarray(0, length);
}

/**
 * Removes top-level members and puts others in their place: values in `set`, and in `texts` such that are JSON text
 * already. Every other byte stays as it came. The body must be JSON with an object at its top.
 */
export function editMembers(
  body: Buffer,
  remove: readonly string[],
  set: Readonly<Record<string, unknown>>,
  texts: Readonly<Record<string, string>> = {},
): Buffer {
  const gone = new Set([...remove, ...Object.keys(set), ...Object.keys(texts)]);
  const parts: Buffer[] = [];
  const add = (name: string, text: string): number => parts.push(Buffer.from(`${JSON.stringify(name)}:${text}`));
  for (const [name, value] of Object.entries(set)) add(name, JSON.stringify(value));
  for (const [name, text] of Object.entries(texts)) add(name, text);
  for (const { name, start, end } of topLevelMembers(body)) if (!gone.has(name)) parts.push(body.subarray(start, end));
  const comma = Buffer.from(',');
  const joined = parts.flatMap((part, index) => (index === 0 ? [part] : [comma, part]));
  return Buffer.concat([Buffer.from('{'), ...joined, Buffer.from('}')]);
}

/** The JSON text of a top-level member, byte for byte; null when there is none, or the body is not a JSON object. */
export function memberOf(body: Buffer, name: string): string | null {
  try {
    const member = topLevelMembers(body).findLast((each) => each.name === name);
    if (member === undefined) return null;
    const text = body.toString('utf8', body.indexOf(colon, stringEnd(body, member.start)) + 1, member.end).trim();
    JSON.parse(text);
    return text;
  } catch {
    return null; // cut short
  }
}

interface Member {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;

function stringEnd(body: Buffer, start: number): number {
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === backslash) at++;
    else if (body[at] === quote) return at + 1;
  }
  return body.length;
}

function topLevelMembers(body: Buffer): Member[] {
  const members: Member[] = [];
  let depth = 0;
  let start = -1;
  let name: string | null = null;
  let lastString: string | null = null;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (byte === quote) {
      const end = stringEnd(body, at);
      if (depth === 1) {
        if (start < 0) start = at;
        if (name === null) lastString = JSON.parse(body.toString('utf8', at, end)) as string;
      }
      at = end - 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth++;
    } else if (depth === 1 && byte === colon) {
      name = lastString;
    } else if (byte === 0x5d || byte === 0x7d || (depth === 1 && byte === comma)) {
      if (depth === 1 && start >= 0 && name !== null) {
        members.push({ name, start, end: at });
        start = -1;
        name = null;
      }
      if (byte !== comma) depth--;
    }
  }
  return members;
}
