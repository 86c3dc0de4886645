/** Names of endpoints as they are shown side by side. */
export interface Names {
  /** What all names start with, and `of` leaves out. */
  readonly common: string;
  of(endpoint: string): string;
}

/** Pods of one deployment differ only in their last part; a terminal has no room for the rest in every row. */
export function shortNames(endpoints: readonly string[]): Names {
  const [first = '', ...others] = endpoints;
  let length = others.length === 0 ? 0 : first.length;
  while (length > 0 && !others.every((name) => name.startsWith(first.slice(0, length)))) length -= 1;
  const common = first.slice(0, length).replace(/[^-]*$/, '');
  return { common, of: (endpoint) => (endpoint.startsWith(common) ? endpoint.slice(common.length) : endpoint) };
}

/** Lines of a table: the first column to the left, numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

export function number(value: number | null): string {
  return value === null ? '-' : Number.isInteger(value) ? String(value) : value.toFixed(1);
}

export function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)}%`;
}

export function seconds(value: number | null): string {
  if (value === null) return '-';
  return value < 1 ? `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} ms` : `${value.toFixed(2)} s`;
}
