import { lineError } from './format.ts';
import type { Line } from './lines.ts';

/** The cells of a line without quoted commas, which none of the traces has. */
export function cells(text: string): string[] {
  return text.split(',').map((cell) => cell.trim());
}

/** A number of a column; throws with the line and the column's name. */
export function numberAt(line: Line, row: readonly string[], columns: readonly string[], name: string): number {
  const cell = row[columns.indexOf(name)];
  const value = Number(cell);
  if (cell === undefined || cell === '' || !Number.isFinite(value) || value < 0) {
    throw lineError(line, `${name}: ${cell === undefined ? 'is missing' : `"${cell}" is not a number of 0 or more`}`);
  }
  return value;
}
