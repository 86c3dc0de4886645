import { z } from 'zod';
import { SignalboxError } from '../../base/errors.ts';
import type { Line } from './lines.ts';
import type { TraceSession } from './trace.ts';

/** One kind of trace file. */
export interface TraceFormat {
  readonly title: string;
  readonly blockTokens: number;
  readonly hasArrivals: boolean;
  /** Whether a file that starts with this line is of this kind. */
  recognises(firstLine: string): boolean;
  reader(): TraceReader;
}

export interface TraceReader {
  /** Takes the next line; throws `config_invalid` with its place. Returns how many requests have been read so far. */
  line(line: Line): number;
  /** All sessions, in any order. */
  sessions(): TraceSession[];
}

export function lineError(line: Line, message: string): SignalboxError {
  return new SignalboxError('config_invalid', `${line.at}: ${message}`, { param: line.at });
}

/** A line of JSON, as `schema` has it. */
export function parseJsonLine<T>(line: Line, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    throw lineError(line, 'is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  throw lineError(line, `${field}${issue.message}`);
}

/** Keys of the JSON object on a line; null where it is no such thing. */
export function keysOf(text: string): ReadonlySet<string> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Set(Object.keys(value)) : null;
  } catch {
    return null;
  }
}

export const tokens = z.number().int().min(0).max(100_000_000);
export const blockId = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
