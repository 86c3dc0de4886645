import type { ServerResponse } from 'node:http';
import { errorResponse } from './errors.ts';
import type { SignalboxError } from '../base/errors.ts';

export type ExtraHeaders = Readonly<Record<string, string>>;

export function sendError(response: ServerResponse, error: SignalboxError, extra: ExtraHeaders = {}): void {
  if (response.headersSent || response.destroyed) return;
  const { status, headers, body } = errorResponse(error);
  response.writeHead(status, { ...headers, ...extra });
  response.end(body);
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
