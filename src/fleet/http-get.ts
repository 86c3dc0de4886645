import { Agent, request as httpRequest } from 'node:http';

const largestBodyBytes = 4 * 1024 * 1024;

interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Small requests to engines: bounded in time and size, over kept-alive connections. Rejects when no answer came. */
export class HttpGetter {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 1, timeout: 4000 });

  get(address: string, path: string, timeoutMs: number): Promise<HttpAnswer> {
    return this.#send('GET', address, path, null, timeoutMs);
  }

  post(address: string, path: string, body: unknown, timeoutMs: number): Promise<HttpAnswer> {
    return this.#send('POST', address, path, Buffer.from(JSON.stringify(body)), timeoutMs);
  }

  #send(method: string, address: string, path: string, body: Buffer | null, timeoutMs: number): Promise<HttpAnswer> {
    const headers = body === null ? {} : { 'content-type': 'application/json', 'content-length': body.length };
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent };
      const request = httpRequest(`http://${address}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > largestBodyBytes) request.destroy(new Error(`more than ${largestBodyBytes} bytes`));
          else chunks.push(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
        response.on('error', reject);
      });
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      request.on('error', reject);
      request.on('close', () => clearTimeout(timer));
      request.end(body ?? undefined);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
