import { cells, numberAt } from './csv.ts';
import { lineError } from './format.ts';
import type { TraceFormat } from './format.ts';
import { noBlocks } from './trace.ts';
import type { TraceSession } from './trace.ts';

const columns = ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens'];

/** Azure's LLM inference traces of 2023 and 2024 (Azure/AzurePublicDataset): when, and how many tokens; no prefixes. */
export const azure: TraceFormat = {
  title: 'Azure LLM inference',
  blockTokens: 512,
  hasArrivals: true,
  recognises: (firstLine) => cells(firstLine).join() === columns.join(),
  reader() {
    const sessions: TraceSession[] = [];
    let firstMs: number | null = null;
    let isHeader = true;
    return {
      line(line) {
        if (isHeader) {
          isHeader = false;
          return 0;
        }
        const row = cells(line.text);
        const epochMs = parseTimestamp(row[0] ?? '');
        if (epochMs === null) throw lineError(line, `TIMESTAMP: "${row[0] ?? ''}" is not a date and time`);
        firstMs ??= epochMs;
        const turn = {
          thinkMs: 0,
          promptTokens: numberAt(line, row, columns, 'ContextTokens'),
          outputTokens: numberAt(line, row, columns, 'GeneratedTokens'),
          blocks: noBlocks,
          spawns: [],
        };
        sessions.push({ id: `request-${sessions.length + 1}`, startMs: epochMs - firstMs, turns: [turn] });
        return sessions.length;
      },
      sessions: () => sessions,
    };
  },
};

/** `2023-11-16 18:17:03.9799600`, with or without a zone (2024 has one); milliseconds with fractions, null if it is none. */
function parseTimestamp(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (match === null) return null;
  const [, day, time, fraction, zone] = match;
  const wholeMs = Date.parse(`${day}T${time}${zone ?? 'Z'}`);
  return Number.isNaN(wholeMs) ? null : wholeMs + Number(fraction ?? 0) * 1000;
}
