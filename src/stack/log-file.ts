import { closeSync, copyFileSync, mkdirSync, openSync, readSync, renameSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log is at most this long, plus as much again in the one file before it. */
const maxLogBytes = 4 * 1024 * 1024;

/** The file that holds what was cut from the front of a log. */
export const previousLog = (path: string): string => `${path}.1`;

/** A descriptor that appends, wherever the file is cut meanwhile. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'a');
}

/**
 * Keeps a log bounded. It is copied and cut, not renamed, because its writer holds it open. The copy gets its name last,
 * so that a reader who sees a new copy knows that the log was cut.
 */
export function rotateIfLarge(path: string): void {
  if (sizeOf(path) <= maxLogBytes) return;
  copyFileSync(path, `${path}.cut`);
  truncateSync(path);
  renameSync(`${path}.cut`, previousLog(path));
}

/** The last `lines` lines, or all; at most `maxBytes` from the end. Empty for a log that does not exist. */
export function readTail(path: string, lines = Infinity, maxBytes = maxLogBytes): string {
  const size = sizeOf(path);
  const start = Math.max(0, size - maxBytes);
  let text = readRange(path, start, size).toString('utf8');
  // A cut in the middle of a line is no line.
  if (start > 0) text = text.slice(text.indexOf('\n') + 1);
  return lastLines(text, lines);
}

export function lastLines(text: string, lines: number): string {
  if (lines === Infinity) return text;
  const all = text.split('\n');
  const end = text.endsWith('\n') ? all.length - 1 : all.length;
  return all.slice(Math.max(0, end - lines)).join('\n');
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Bytes `start` to `end` of a file; fewer when it ends before. */
export function readRange(path: string, start: number, end: number): Buffer {
  if (end <= start) return Buffer.alloc(0);
  const descriptor = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(end - start);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, start));
  } finally {
    closeSync(descriptor);
  }
}
