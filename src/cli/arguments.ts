import { InvalidArgumentError } from 'commander';
import { goBoolean, goDurationMs } from '../compat/llm-d-flags.ts';

export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number.');
}

export function positiveWholeNumber(text: string): number {
  const value = wholeNumber(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('must be more than 0.');
}

/** 0 lets the system choose. */
export function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port <= 65535) return port;
  throw new InvalidArgumentError('expected a port from 0 to 65535.');
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('expected a number above 0.');
}

/** `8000` or `8000,8001`. */
export function portList(text: string): number[] {
  return text.split(',').map(portNumber);
}

/** In milliseconds. */
export function duration(text: string): number {
  const ms = goDurationMs(text);
  if (ms !== null) return ms;
  throw new InvalidArgumentError('expected a duration, e.g. 30s or 1m30s.');
}

/** A switch as Go's flags have it: alone, or with `=true` or `=false`. */
export function goSwitch(text: string): boolean {
  const value = goBoolean(text);
  if (value !== null) return value;
  throw new InvalidArgumentError('expected true or false.');
}
