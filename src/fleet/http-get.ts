import { Agent, get } from 'node:http';

const largestBodyBytes = 4 * 1024 * 1024;

interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Small GETs to engines: bounded in time and size, over kept-alive connections. Rejects when no answer came. */
export class HttpGetter {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 1, timeout: 4000 });

  get(address: string, path: string, timeoutMs: number): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const request = get(`http://${address}${path}`, { agent: this.#agent }, (response) => {
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
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
