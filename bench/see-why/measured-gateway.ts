import { Agent, request as httpRequest } from 'node:http';
import type { GatewayOptions } from '../../src/gateway/gateway.ts';
import { Child } from './process.ts';

const users = 32;
const sessions = 40;

/** A gateway in a process of its own, and what a request costs it. */
export class MeasuredGateway {
  readonly adminUrl: string;
  readonly #child: Child;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #port: number;

  private constructor(child: Child, { port, adminPort }: { port: number; adminPort: number }) {
    this.#child = child;
    this.#port = port;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
  }

  /** Ready, with all of its endpoints. */
  static async start(options: Partial<GatewayOptions> & { endpoints: readonly string[] }): Promise<MeasuredGateway> {
    const child = new Child('gateway.ts', JSON.stringify(options));
    const gateway = new MeasuredGateway(child, JSON.parse(await child.line()) as { port: number; adminPort: number });
    const ready = async (): Promise<boolean> => {
      const listed = (await (await fetch(`${gateway.adminUrl}/api/endpoints`)).json()) as { ready: boolean }[];
      return listed.length === options.endpoints.length && listed.every((endpoint) => endpoint.ready);
    };
    while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 20));
    return gateway;
  }

  /** Microseconds of CPU that so many requests took, by all threads of its process. */
  async round(requests: number): Promise<number> {
    const before = Number(await this.#child.line(true));
    let left = requests;
    const user = async (): Promise<void> => {
      while (left-- > 0) await this.#ask();
    };
    await Promise.all(Array.from({ length: users }, user));
    return Number(await this.#child.line(true)) - before;
  }

  close(): void {
    this.#agent.destroy();
    this.#child.end();
  }

  #ask(): Promise<void> {
    const session = Math.floor(Math.random() * sessions);
    const content = `You are helper number ${session}. `.repeat(120) + `Question ${Math.random()}`;
    const body = JSON.stringify({ model: 'bench', stream: true, messages: [{ role: 'user', content }] });
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const path = '/v1/chat/completions';
      httpRequest({ port: this.#port, host: '127.0.0.1', path, method: 'POST', agent: this.#agent, headers })
        .on('response', (response) => {
          if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
          response.resume().on('end', () => resolve());
        })
        .on('error', reject)
        .end(body);
    });
  }
}
