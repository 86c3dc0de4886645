import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { workloads, type EngineOptions, type GatewayKind } from './components.ts';
import { startControlServer, type Order } from './control.ts';
import { holdSocket } from './held-socket.ts';
import { lockNamespace } from './namespace-lock.ts';
import { expectFree, freePorts } from './ports.ts';
import { identify } from './process-identity.ts';
import { cleanUp, endpointsPath, prepare, stackFolder, statePath, writeAtOnce } from './state.ts';
import { Supervisor } from './supervisor.ts';
import type { Values } from './values.ts';

export interface StackOptions {
  readonly namespace: string;
  readonly values: Values;
  readonly host: string;
  /** 0 stands for any free port, here and in `adminPort`. */
  readonly port: number;
  readonly adminPort: number;
  /** Engines that run already, by URL; with any, no pods are simulated. */
  readonly endpoints: readonly string[];
  readonly engine: EngineOptions;
  readonly gateway: GatewayKind;
  /** A file of API keys; null where everybody is served. */
  readonly keysFile: string | null;
}

export interface Stack {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  /** Resolves when everything has ended, for whatever reason. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

const lockCheckMs = 1000;

/**
 * Brings up a stack on this machine, supervised by this process; resolves when a request would be answered.
 * Throws `environment` when the namespace or a port is taken or a component does not start; nothing is left then.
 * @param onStarted called as soon as there is something to stop
 */
export async function startStack(options: StackOptions, onStarted: (stack: Stack) => void): Promise<Stack> {
  const { namespace, host } = options;
  const folder = stackFolder(namespace);
  const lock = lockNamespace(folder, namespace);
  try {
    const port = await chosenPort(host, options.port, '--port');
    const adminPort = await chosenPort('127.0.0.1', options.adminPort, '--admin-port');
    const [eppPort] = await freePorts(1);
    const gatewaySockets =
      options.gateway === 'signalbox' ? [await holdSocket(host, port), await holdSocket('127.0.0.1', adminPort)] : [];
    prepare(folder);

    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const control = await startControlServer(obey);
    const declared = workloads(options.values, options.engine, options.gateway).filter(
      ({ component }) => options.endpoints.length === 0 || (component !== 'decode' && component !== 'prefill'),
    );
    const gatewayUrl = `http://${reachable(host)}:${port}`;
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    const supervisor = new Supervisor({
      namespace,
      folder,
      workloads: declared,
      gateway: {
        host,
        port,
        adminPort,
        keysFile: options.keysFile,
        eppPort: eppPort!,
        endpoints: options.endpoints.length > 0 ? { urls: options.endpoints } : { file: endpointsPath(folder) },
      },
      controlPort: control.port,
      gatewaySockets,
      onChange(pods) {
        if (!lock.isHeld()) return;
        writeAtOnce(statePath(folder), {
          version: 1,
          namespace,
          supervisor: identify(process.pid),
          gatewayUrl,
          adminUrl,
          control: { port: control.port, token: control.token },
          pods,
        });
      },
    });
    const close = (): void => {
      clearInterval(watch);
      control.close();
      for (const socket of gatewaySockets) socket.close();
      if (lock.isHeld()) cleanUp(folder);
      lock.release();
      end();
    };
    let stopping: Promise<void> | undefined;
    const stack: Stack = {
      gatewayUrl,
      adminUrl,
      ended,
      stop: () => (stopping ??= supervisor.stop().then(close)),
      kill() {
        supervisor.kill();
        close();
      },
    };
    async function obey(order: Order): Promise<void> {
      if (order.do === 'scale') return supervisor.scale(order.role, order.replicas);
      if (order.do === 'delete') return supervisor.deletePod(order.pod);
      return stack.stop();
    }
    // A stack whose folder was deleted could not be found to be ended: it ends itself.
    const watch = setInterval(() => {
      if (!lock.isHeld()) void stack.stop();
    }, lockCheckMs);
    onStarted(stack);
    try {
      await supervisor.start();
      await supervisor.untilReady();
      // The operator's port asks for no key; beside Envoy it serves no requests.
      await untilAnswering(options.gateway === 'signalbox' ? adminUrl : gatewayUrl, ended);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function chosenPort(host: string, port: number, flag: string): Promise<number> {
  if (port === 0) return (await freePorts(1))[0]!;
  await expectFree(host, port, flag);
  return port;
}

/** Until the gateway knows a model that can be asked. */
async function untilAnswering(url: string, ended: Promise<void>): Promise<void> {
  let over = false;
  void ended.then(() => (over = true));
  while (!over && (await firstModel(url)) === null) await sleep(10);
}

/** The first model that can be asked of a gateway; null while there is none. */
export async function firstModel(url: string): Promise<string | null> {
  try {
    const answer = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(2000) });
    return modelsSchema.parse(await answer.json()).data[0]?.id ?? null;
  } catch {
    return null;
  }
}

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
