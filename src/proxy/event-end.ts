/** Where the event that begins at `start` ends, with its empty line; -1 when it is not whole. */
export function eventEnd(bytes: Buffer, start: number): number {
  const end = bytes.indexOf('\n\n', start);
  if (end >= 0) return end + 2;
  const crlfEnd = bytes.indexOf('\r\n\r\n', start);
  return crlfEnd < 0 ? -1 : crlfEnd + 4;
}
