import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../base/errors.ts';

interface ServedFile {
  readonly type: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page loads its own files and asks its own port, nothing else. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const securityHeaders = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** The console's pages, which are one file that looks at its own address. */
const pagePattern = /^\/(|decisions|requests\/[^/]+|prefixes|compare|playground|keys)$/;
const assetPattern = /^\/assets\/([\w.-]+)$/;
/** Where browsers look, also beside a page of JSON. */
const iconPath = '/favicon.ico';

/** Serves the console's files, read once, when somebody first looks. */
export class ConsoleFiles {
  #files: Promise<ReadonlyMap<string, ServedFile>> | null = null;

  serves(path: string): boolean {
    return pagePattern.test(path) || assetPattern.test(path) || path === iconPath;
  }

  send(request: IncomingMessage, response: ServerResponse, path: string): void {
    const name = path === iconPath ? 'icon.svg' : (assetPattern.exec(path)?.[1] ?? 'index.html');
    this.#files ??= readFiles();
    this.#files.then(
      (files) => sendFile(request, response, name, files.get(name)),
      (error: unknown) => {
        this.#files = null; // the next look tries again
        sendText(response, 500, troubleText(messageOf(error)));
      },
    );
  }
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  file: ServedFile | undefined,
): void {
  if (file === undefined) {
    return sendText(response, 404, 'No such file. Is the page older than the gateway? Load it again.\n');
  }
  const accepted = request.headers['accept-encoding'] ?? '';
  const encoding = ['br' as const, 'gzip' as const].find((name) => accepted.includes(name)) ?? null;
  const body = encoding === null ? file.plain : file[encoding];
  response.writeHead(200, {
    'content-type': file.type,
    'content-length': body.length,
    vary: 'accept-encoding',
    // Assets are named by their content, and the page names them.
    'cache-control': !name.startsWith('console-') ? 'no-cache' : 'public, max-age=31536000, immutable',
    ...(encoding === null ? {} : { 'content-encoding': encoding }),
    ...securityHeaders,
  });
  response.end(body);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...securityHeaders });
  response.end(text);
}

function troubleText(reason: string): string {
  return (
    `The console could not be built: ${reason}\n\nAll that it shows is there as JSON: ` +
    '/api/endpoints, /api/decisions, /api/policies, /api/prefixes; and as text: /metrics.\n'
  );
}

async function readFiles(): Promise<ReadonlyMap<string, ServedFile>> {
  const folder = await builtFolder();
  const names = (await readdir(folder)).filter((name) => extname(name) in types);
  const files = names.map(async (name): Promise<[string, ServedFile]> => {
    const path = join(folder, name);
    const [plain, br, gzip] = await Promise.all([path, `${path}.br`, `${path}.gz`].map((one) => readFile(one)));
    return [name, { type: types[extname(name)]!, plain: plain!, br: br!, gzip: gzip! }];
  });
  return new Map(await Promise.all(files));
}

/** A package carries the console built; a clone builds it, in a process of its own, where that has not been done yet. */
async function builtFolder(): Promise<string> {
  if (!import.meta.filename.endsWith('.ts')) return join(import.meta.dirname, '../console');
  const script = join(import.meta.dirname, '../../scripts/build-console.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', script]);
  return stdout.trim();
}
