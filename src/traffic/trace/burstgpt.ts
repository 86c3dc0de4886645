import { cells, numberAt } from './csv.ts';
import type { TraceFormat } from './format.ts';
import { noBlocks } from './trace.ts';
import type { TraceSession, TraceTurn } from './trace.ts';

/**
 * BurstGPT (HPMLL/BurstGPT), with or without the columns `Session ID` and `Elapsed time`: seconds, tokens, no prefixes.
 * Rows that failed when recorded (no response tokens) are left out.
 */
export const burstGpt: TraceFormat = {
  title: 'BurstGPT',
  blockTokens: 512,
  hasArrivals: true,
  recognises(firstLine) {
    const columns = cells(firstLine);
    return ['Timestamp', 'Request tokens', 'Response tokens'].every((name) => columns.includes(name));
  },
  reader() {
    let columns: string[] | null = null;
    let requests = 0;
    const sessions: TraceSession[] = [];
    const open = new Map<string, { turns: TraceTurn[]; endMs: number }>();
    return {
      line(line) {
        const row = cells(line.text);
        if (columns === null) {
          columns = row;
          return 0;
        }
        const outputTokens = numberAt(line, row, columns, 'Response tokens');
        if (outputTokens === 0) return requests;
        const atMs = numberAt(line, row, columns, 'Timestamp') * 1000;
        const elapsedMs = row[columns.indexOf('Elapsed time')]
          ? numberAt(line, row, columns, 'Elapsed time') * 1000
          : 0;
        const sessionId = row[columns.indexOf('Session ID')] ?? '';
        const session = sessionId === '' ? undefined : open.get(sessionId);
        const turn = {
          thinkMs: session === undefined ? 0 : Math.max(0, atMs - session.endMs),
          promptTokens: numberAt(line, row, columns, 'Request tokens'),
          outputTokens,
          blocks: noBlocks,
          spawns: [],
        };
        requests += 1;
        if (session !== undefined) {
          session.turns.push(turn);
          session.endMs = atMs + elapsedMs;
        } else {
          const turns = [turn];
          sessions.push({ id: sessionId === '' ? `request-${requests}` : sessionId, startMs: atMs, turns });
          if (sessionId !== '') open.set(sessionId, { turns, endMs: atMs + elapsedMs });
        }
        return requests;
      },
      sessions: () => sessions,
    };
  },
};
