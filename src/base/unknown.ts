/** Columns say NaN where a number is not known; what people and programs are shown says null. */
export function knownOrNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}
