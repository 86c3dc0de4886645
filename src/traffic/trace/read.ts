import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { assetPath } from '../../base/assets.ts';
import { SignalboxError } from '../../base/errors.ts';
import { didYouMean } from '../../base/suggest.ts';
import { agentSessions } from './agent-sessions.ts';
import { azure } from './azure.ts';
import { burstGpt } from './burstgpt.ts';
import { decisionsOf, journalTitle } from './decisions.ts';
import type { JournalPart } from './decisions.ts';
import { lineError } from './format.ts';
import type { TraceFormat, TraceReader } from './format.ts';
import { readLines } from './lines.ts';
import { mooncake } from './mooncake.ts';
import { qwenBailian } from './qwen-bailian.ts';
import type { Trace } from './trace.ts';

const publicFormats: readonly TraceFormat[] = [mooncake, qwenBailian, agentSessions, azure, burstGpt];

/** Traces that come with Signalbox, by name; origins and licences: assets/traces/README.md. */
const shipped: Readonly<Record<string, string>> = {
  'mooncake-conversation': 'mooncake_conversation_trace.jsonl.gz',
  'agent-sessions': 'agent_sessions.jsonl.gz',
  'azure2023-code': 'azure2023_code.csv.gz',
};
export const shippedTraces: readonly string[] = Object.keys(shipped);

/**
 * Reads a trace: the name of a shipped one or a file, plain or gzip; its format is told by its content.
 * Of a journal of Decisions, only `part` is read. Reading stops once at least `maxRequests` are there. Throws `config_invalid` with file and line.
 */
export async function readTrace(
  nameOrFile: string,
  options: { maxRequests?: number; part?: JournalPart } = {},
): Promise<Trace> {
  const path = locate(nameOrFile);
  const formats = [...publicFormats, decisionsOf(options.part)];
  const maxRequests = options.maxRequests ?? Infinity;
  let format: TraceFormat | undefined;
  let reader: TraceReader | undefined;
  let requests = 0;
  for await (const line of readLines(path)) {
    if (reader === undefined) {
      format = formats.find((candidate) => candidate.recognises(line.text));
      if (format === undefined) {
        const known = formats.map((candidate) => candidate.title).join(', ');
        throw lineError(line, `is not the start of a trace that can be read (${known})`);
      }
      reader = format.reader();
    }
    requests = reader.line(line);
    if (requests >= maxRequests) break;
  }
  if (format === undefined || reader === undefined || requests === 0) {
    throw new SignalboxError('config_invalid', `${path}: holds no requests`, { param: path });
  }
  if (options.part !== undefined && format.title !== journalTitle) {
    const message = `${path}: is a ${format.title} trace; only a journal of Decisions has dates and models to choose by`;
    throw new SignalboxError('config_invalid', message, { param: path });
  }
  const sessions = reader.sessions().sort((a, b) => a.startMs - b.startMs);
  const firstMs = sessions[0]?.startMs ?? 0;
  return {
    name: shipped[nameOrFile] === undefined ? basename(path) : nameOrFile,
    format: format.title,
    blockTokens: format.blockTokens,
    hasArrivals: format.hasArrivals,
    sessions: firstMs === 0 ? sessions : sessions.map((one) => ({ ...one, startMs: one.startMs - firstMs })),
  };
}

function locate(nameOrFile: string): string {
  const file = shipped[nameOrFile];
  if (file !== undefined) return assetPath(`traces/${file}`);
  if (existsSync(nameOrFile)) return nameOrFile;
  throw new SignalboxError(
    'config_invalid',
    `There is no trace file "${nameOrFile}", nor a shipped trace of that name (${shippedTraces.join(', ')})` +
      didYouMean(nameOrFile, shippedTraces),
    { param: nameOrFile },
  );
}
