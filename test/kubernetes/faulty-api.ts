import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { parse } from 'yaml';

interface Kubeconfig {
  clusters: [{ cluster: { server: string; 'certificate-authority': string } }];
  users: [{ user: { token: string } }];
}

/** A way to the API server that can be cut, and that refuses what it is told to. Everything else is the server's own. */
export class FaultyApi {
  /** Answers and events by which the server has said that a version is too old (410). */
  expired = 0;
  /** Writes refused by a conflict (409) so far. */
  conflicts = 0;
  #conflictsToCome = 0;
  #isCut = false;
  readonly #sockets = new Set<Socket>();
  readonly #agent: Agent;
  readonly #server: Server;
  readonly #to: { readonly url: string; readonly token: string };

  private constructor({ clusters: [{ cluster }], users: [{ user }] }: Kubeconfig) {
    this.#agent = new Agent({ ca: readFileSync(cluster['certificate-authority']), keepAlive: true });
    this.#to = { url: cluster.server, token: user.token };
    this.#server = createServer((incoming, response) => this.#serve(incoming, response));
    this.#server.on('connection', (socket: Socket) => {
      if (this.#isCut) return void socket.destroy();
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** In front of the server of `kubeconfig`; writes a kubeconfig for it to `file`. */
  static async start(kubeconfig: string, file: string): Promise<FaultyApi> {
    const api = new FaultyApi(parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig);
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    const server = `http://127.0.0.1:${(api.#server.address() as AddressInfo).port}`;
    const contexts = [{ name: 'faulty', context: { cluster: 'faulty', user: 'nobody' } }];
    const clusters = [{ name: 'faulty', cluster: { server } }];
    const users = [{ name: 'nobody', user: {} }];
    writeFileSync(file, JSON.stringify({ 'current-context': 'faulty', contexts, clusters, users }));
    return api;
  }

  /** Ends all connections, and takes no new ones until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** The next writes are refused as if somebody else had just written. */
  refuseWrites(count: number): void {
    this.#conflictsToCome = count;
  }

  close(): void {
    this.cut();
    this.#server.close();
    this.#agent.destroy();
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = incoming;
    if (method !== 'GET' && this.#conflictsToCome > 0) {
      this.#conflictsToCome--;
      this.conflicts++;
      const refusal = { kind: 'Status', code: 409, reason: 'Conflict', message: 'the object has been modified' };
      response.writeHead(409, { 'content-type': 'application/json' }).end(JSON.stringify(refusal));
      incoming.resume();
      return;
    }
    const { url: server, token } = this.#to;
    const forwardedHeaders = { ...headers, authorization: `Bearer ${token}` };
    delete forwardedHeaders.host;
    const options = { method, agent: this.#agent, headers: forwardedHeaders };
    const forwarded = request(server + url, options, (answer) => {
      if (answer.statusCode === 410) this.expired++;
      answer.on('data', (chunk: Buffer) => {
        if (chunk.includes('"type":"ERROR"') && chunk.includes('"code":410')) this.expired++;
      });
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    forwarded.on('error', () => response.destroy());
    response.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  }
}
