const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Where the event that begins at `start` ends, with its empty line; -1 when it is not whole. */
export function eventEnd(bytes: Buffer, start: number): number {
  for (let at = bytes.indexOf(lineFeed, start); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
    if (bytes[at + 1] === lineFeed) return at + 2;
    const isCrlf = at > start && bytes[at - 1] === carriageReturn;
    if (isCrlf && bytes[at + 1] === carriageReturn && bytes[at + 2] === lineFeed) return at + 3;
  }
  return -1;
}
