import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { DecisionsEventJson } from '../../admin/json.ts';

/** Reads `/api/events` of another thread until it ends. */
export async function decisionEvents(
  response: IncomingMessage,
  heard: (event: DecisionsEventJson) => void,
): Promise<void> {
  const prefix = 'data: ';
  for await (const line of createInterface({ input: response })) {
    if (line.startsWith(prefix)) heard(JSON.parse(line.slice(prefix.length)) as DecisionsEventJson);
  }
}
