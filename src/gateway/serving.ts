import { SignalboxError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Connector } from '../disaggregation/connector.ts';
import { Core, type CoreOptions } from '../door/core.ts';
import { readServerFiles, watchTlsFiles } from '../door/tls-files.ts';
import { connectUpstream, serve } from '../proxy/http-engine.ts';
import { FrontDoor } from './front-door.ts';

/** What each thread that serves requests is told. */
export interface ServingOptions extends CoreOptions {
  /** Serve HTTPS: a folder with `tls.crt` and `tls.key`, read again when they change. */
  readonly certPath?: string;
  /** Ask clients for certificates that this authority has signed. */
  readonly clientCa?: string;
  readonly maxBodyBytes?: number;
  /** False: streams that break end there, with an error event. */
  readonly continuation?: boolean;
}

/** Where the OpenAI API listens. */
interface ApiPort {
  readonly port: number;
  /** A socket that was handed down, in place of the port. */
  readonly descriptor: number | null;
  /** Other threads listen there as well. */
  readonly isShared: boolean;
}

const defaultMaxBodyBytes = 32 * 1024 * 1024;

/** One event loop that serves requests: the core, the front door before it, its connections to engines. */
export class Serving {
  readonly core: Core;
  readonly door: FrontDoor;
  readonly #options: ServingOptions;
  readonly #upstream: ReturnType<typeof connectUpstream>;
  readonly #log: Logger;
  readonly #files: { close(): void }[] = [];
  #server: Awaited<ReturnType<typeof serve>> | null = null;

  private constructor(
    options: ServingOptions,
    log: Logger,
    core: Core,
    upstream: ReturnType<typeof connectUpstream>,
    connector: Connector | null,
  ) {
    this.#options = options;
    this.#log = log;
    this.core = core;
    this.#upstream = upstream;
    const { dispatch, metrics, sessions, traces, objects, tokens, keys, bodies } = core;
    this.door = new FrontDoor({
      ...{ dispatch, upstream, sessions, objects, tokens, keys, metrics, traces, log, bodies, connector },
      maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
      continuation: options.continuation ?? true,
      ready: () => core.ready,
    });
  }

  /** `connector`: how the gateway itself has a prompt's cache handed over; null where sidecars do. @throws SignalboxError */
  static async create(options: ServingOptions, connector: Connector | null, log: Logger): Promise<Serving> {
    if (options.certPath === undefined && options.clientCa !== undefined) {
      throw new SignalboxError('usage', '--client-ca needs --cert-path');
    }
    const upstream = connectUpstream(options.httpEngine ?? 'own');
    const core = await Core.create(options, log, {
      addresses: (addresses) => upstream.retain(addresses),
      security: (security) => upstream.setSecurity(security),
    });
    return new Serving(options, log, core, upstream, connector);
  }

  /** Gives the port and the file descriptor that it listens with. @throws SignalboxError where it cannot. */
  async listen({
    port,
    descriptor,
    isShared,
  }: ApiPort): Promise<{ readonly port: number; readonly descriptor: number }> {
    const { host = '127.0.0.1', httpEngine = 'own', certPath, clientCa } = this.#options;
    const files = certPath === undefined ? null : { certPath, clientCa };
    const tls = files === null ? {} : { certificate: await readServerFiles(files) };
    const where = { host, port, portFlag: '--port', descriptor, reusePort: isShared, ...tls };
    const server = await serve(httpEngine, (exchange) => this.door.serve(exchange), where);
    this.#server = server;
    if (files !== null) {
      const replace = async (): Promise<void> => server.setCertificate(await readServerFiles(files));
      this.#files.push(...watchTlsFiles(files, replace, this.#log));
    }
    return server;
  }

  /** New requests are not wanted here any more, and files are of no interest. */
  startDraining(): void {
    this.door.startDraining();
    for (const file of this.#files.splice(0)) file.close();
    this.core.stopWatching();
  }

  /** No new connections; the requests that are there finish within `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await server?.drain(graceMs);
  }

  /** Ends, with what has not ended within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.startDraining();
    await this.drain(graceMs);
    await this.core.close();
    await this.#upstream.destroy();
  }
}
