import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import { endOfStream } from './answers.ts';
import { EngineError } from './errors.ts';

const maxBodyBytes = 64 * 1024 * 1024;
/** Throws a 413 for a body beyond the bound. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new EngineError(413, 'Request Entity Too Large', 'The request body is too large.');
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

export function sendJson(response: ServerResponse, status: number, value: object): void {
  send(response, status, JSON.stringify(value), 'application/json');
}

export function send(response: ServerResponse, status: number, text: string, contentType: string | null): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...(contentType === null ? {} : { 'content-type': contentType }),
    'content-length': Buffer.byteLength(text),
    server: 'uvicorn',
  });
  response.end(text);
}

export function sendError(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const known = error instanceof EngineError ? error : new EngineError(500, 'InternalServerError', messageOf(error));
  if (response.headersSent) {
    response.end(`data: ${known.body}\n\n${endOfStream}`);
    return;
  }
  send(response, known.status, known.body, 'application/json');
}
