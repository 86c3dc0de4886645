const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as people write it, `50ms`, `1.5s`, `10m`, `2h`, or plain seconds; null when it is none. */
export function parseDurationMs(text: string): number | null {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  return parts === null ? null : Number(parts[1]) * msPerUnit[parts[2] ?? 's']!;
}
