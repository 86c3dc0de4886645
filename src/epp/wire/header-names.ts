/** Names seen before, by a few of their bytes: requests bring the same ones again and again. */
const seen: string[] = Array.from({ length: 512 }, () => '');

/** A header's name in lower case. */
export function headerName(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return '';
  const place = (length * 37 + bytes[start]! * 5 + bytes[start + (length >> 1)]! * 3 + bytes[end - 1]!) % seen.length;
  const known = seen[place]!;
  if (known.length === length && isAt(known, bytes, start)) return known;
  const sent = bytes.toString('latin1', start, end);
  const name = sent.toLowerCase();
  if (name === sent && length <= 64) seen[place] = name;
  return name;
}

function isAt(text: string, bytes: Buffer, start: number): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) !== bytes[start + at]) return false;
  return true;
}
