import { errorResponse } from './errors.ts';
import type { SignalboxError } from '../base/errors.ts';

/** What an answer is written to: node:http's responses and our own exchanges alike. */
interface Answerable {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: Readonly<Record<string, string | number>>): unknown;
  end(body: string): unknown;
}

export type ExtraHeaders = Readonly<Record<string, string>>;

export function sendError(response: Answerable, error: SignalboxError, extra: ExtraHeaders = {}): void {
  if (response.headersSent || response.destroyed) return;
  const { status, headers, body } = errorResponse(error);
  response.writeHead(status, { ...headers, ...extra });
  response.end(body);
}

export function sendJson(response: Answerable, value: unknown, status = 200): void {
  sendJsonText(response, JSON.stringify(value), status);
}

export function sendJsonText(response: Answerable, body: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
