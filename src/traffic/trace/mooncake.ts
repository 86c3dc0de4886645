import { z } from 'zod';
import { keysOf, parseJsonLine, tokens, blockId } from './format.ts';
import type { TraceFormat } from './format.ts';
import { runsOf } from './trace.ts';
import type { TraceSession } from './trace.ts';

const request = z.object({
  timestamp: z.number().min(0),
  input_length: tokens,
  output_length: tokens,
  hash_ids: z.array(blockId),
});

/** Mooncake's conversation, toolagent and synthetic traces (kvcache-ai/Mooncake): milliseconds, blocks of 512 tokens. */
export const mooncake: TraceFormat = {
  title: 'Mooncake',
  blockTokens: 512,
  hasArrivals: true,
  recognises(firstLine) {
    const keys = keysOf(firstLine);
    return keys !== null && keys.has('hash_ids') && keys.has('input_length') && !keys.has('chat_id');
  },
  reader() {
    const sessions: TraceSession[] = [];
    return {
      line(line) {
        const { timestamp, input_length, output_length, hash_ids } = parseJsonLine(line, request);
        const turn = {
          thinkMs: 0,
          promptTokens: input_length,
          outputTokens: output_length,
          blocks: runsOf(hash_ids),
          spawns: [],
        };
        sessions.push({ id: `request-${sessions.length + 1}`, startMs: timestamp, turns: [turn] });
        return sessions.length;
      },
      sessions: () => sessions,
    };
  },
};
