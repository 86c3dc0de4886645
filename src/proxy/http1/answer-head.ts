import { STATUS_CODES } from 'node:http';
import type { BadMessage } from './head.ts';

let dateText = '';
let dateSecond = 0;

/** `date` of an answer: once a second there is a new one. */
export function dateLine(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateText;
}

const statusLines: string[] = [];

export function statusLine(status: number): string {
  return (statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`);
}

/** A whole answer to a request that could not be read, after which the connection ends. */
export function refusal(error: BadMessage): string {
  const message = `The request is refused: ${error.message}.`;
  const type = 'invalid_request_error';
  const body = JSON.stringify({ error: { message, type, param: null, code: 'http_malformed' } });
  const lines = `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n`;
  return `${statusLine(error.status)}${lines}${dateLine()}\r\n${body}`;
}
