import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger, lineFile, type Logger } from '../base/log.ts';
import { SignalboxError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import type { EndpointsFile } from '../scheduler/endpoints-file.ts';
import { containerArgs, containerProbe, type GatewayContext, type PodContext } from './commands.ts';
import type { Component, Workload } from './components.ts';
import { Container, type ContainerOptions } from './container.ts';
import type { HeldSocket } from './held-socket.ts';
import { readTail, rotateIfLarge } from './log-file.ts';
import { podSuffix } from './object-names.ts';
import { eppState, modelserviceState, Pod } from './pod.ts';
import { freePorts } from './ports.ts';
import { endpointsPath, logPath, logsFolder, writeAtOnce, type PodState } from './state.ts';

type Role = 'decode' | 'prefill';

interface SupervisorOptions {
  readonly namespace: string;
  readonly folder: string;
  readonly workloads: readonly Workload[];
  readonly gateway: Omit<GatewayContext, 'eppLog'>;
  readonly controlPort: number;
  /** What our gateway listens with: API and admin port; none where something else is the gateway. */
  readonly gatewaySockets: readonly HeldSocket[];
  /** Called after every change of any pod, at most once a tick. */
  readonly onChange: (pods: readonly PodState[]) => void;
}

/** How long a container may take to finish what it has begun. */
const graceMs = 30_000;
/** As above, but when the whole stack goes and nobody is left to wait. */
const shutdownGraceMs = 5000;
/** Time for routers to read that an endpoint is leaving, before it refuses. */
const leaveMs = 150;
/** How long a gateway waits for its replacement to answer. */
const replacementMs = 15_000;
const rotateMs = 2000;
const pollMs = 10;
const roleLabel = 'llm-d.ai/role';

/** Keeps the declared state: so many pods of each workload, each container running. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #pods: Pod[] = [];
  readonly #declared = new Map<Component, number>();
  readonly #random = seededRandom(crypto.getRandomValues(new Uint32Array(1))[0]!);
  readonly #rotation: NodeJS.Timeout;
  #logger: Logger | undefined;
  #endpointsWritten = '';
  #changePending = false;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    for (const { component, replicas } of options.workloads) this.#declared.set(component, replicas);
    this.#rotation = setInterval(() => this.#rotateLogs(), rotateMs).unref();
  }

  /** Starts every pod, all at once. */
  async start(): Promise<void> {
    // The gateway must find the file when it looks, even if no pod has a port yet.
    this.#writeEndpoints();
    await this.#reconcile();
  }

  get pods(): readonly PodState[] {
    return this.#pods.map((pod) => this.#stateOf(pod));
  }

  /** Sets how many pods of a role run; resolves when the new ones are ready or the surplus is gone. */
  async scale(role: Role, replicas: number): Promise<void> {
    if (!this.#options.workloads.some(({ component }) => component === role)) {
      throw new SignalboxError('usage', 'this stack has no pods to scale: its engines were given by --endpoint');
    }
    this.#log.info({ role, from: this.#declared.get(role), to: replicas }, 'scaling');
    this.#declared.set(role, replicas);
    await this.#reconcile();
    await this.untilReady();
  }

  /** Resolves when every pod is ready. Throws `environment`, with its last log lines, when a container cannot start. */
  async untilReady(): Promise<void> {
    while (!this.#stopping && this.#pods.some((pod) => pod.isStarting)) {
      const failed = this.#containers(() => true).find((container) => container.cannotStart);
      if (failed !== undefined) throw startFailure(failed.options);
      await sleep(pollMs);
    }
  }

  /** Ends a pod after its requests are finished; another one is started at once in its place. */
  async deletePod(name: string): Promise<void> {
    const pod = this.#pods.find((candidate) => candidate.name === name);
    if (pod === undefined)
      throw new SignalboxError('usage', `there is no pod ${name}; "signalbox get pods" lists them`);
    const { component } = pod.workload;
    if (component === 'modelservice') {
      throw new SignalboxError('usage', `${name} is what keeps the other pods running; "signalbox down" ends it all`);
    }
    if (component === 'epp' && pod.workload.isHosted) {
      throw new SignalboxError(
        'usage',
        `${name} lives in the process of ${this.#only('gateway').name}; delete that one`,
      );
    }
    this.#log.info({ pod: name }, 'deleting');
    // An EPP in the gateway's process goes with it.
    const epp = this.#only('epp');
    const goes = component === 'gateway' && epp.workload.isHosted ? [pod, epp] : [pod];
    if (component === 'gateway' && this.#options.gatewaySockets.length > 0) {
      // Its replacement listens with the same sockets: it goes once that one answers.
      const next = Promise.withResolvers<void>();
      const gone = goes.map((each) => this.#end(each, graceMs, next.promise));
      await this.#reconcile();
      const served = this.#only('gateway').containers.map(({ serving }) => serving);
      await Promise.race([Promise.all(served), sleep(replacementMs)]);
      next.resolve();
      await Promise.all(gone);
    } else if (component === 'gateway' || component === 'epp') {
      // Its replacement needs the same port.
      await Promise.all(goes.map((each) => this.#end(each, graceMs)));
      await this.#reconcile();
    } else {
      const gone = this.#end(pod, graceMs);
      await Promise.all([gone, this.#reconcile()]);
    }
  }

  /** Ends everything: the way in first, then the engines. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#rotation);
    this.#log.info('ending every pod');
    const [first, rest] = [this.#containers(({ component }) => component === 'gateway'), this.#containers(() => true)];
    await Promise.all(first.map((container) => container.stop(shutdownGraceMs)));
    await Promise.all(rest.map((container) => container.stop(shutdownGraceMs)));
  }

  /** Ends everything without waiting for anything. */
  kill(): void {
    for (const container of this.#containers(() => true)) container.kill();
  }

  async #reconcile(): Promise<void> {
    const begun: Pod[] = [];
    const ending: Promise<void>[] = [];
    for (const workload of this.#options.workloads) {
      const wanted = this.#declared.get(workload.component) ?? 0;
      const active = this.#active(workload.component);
      for (let count = active.length; count < wanted; count++) {
        begun.push(new Pod(`${workload.name}-${workload.hash}-${podSuffix(this.#random)}`, workload));
      }
      // As Kubernetes does: those that are not ready go first, then the newest.
      const surplus = active.toSorted((a, b) => Number(a.isReady) - Number(b.isReady) || b.createdAtMs - a.createdAtMs);
      for (const pod of surplus.slice(0, Math.max(0, active.length - wanted))) ending.push(this.#end(pod, graceMs));
    }
    this.#pods.push(...begun);
    this.#changed();
    await Promise.all([...ending, ...begun.map((pod) => this.#launch(pod))]);
  }

  async #launch(pod: Pod): Promise<void> {
    const { name, workload } = pod;
    if (workload.isHosted) return;
    const { namespace, folder, gateway } = this.#options;
    const ports = await this.#portsFor(workload);
    if (this.#stopping || pod.isTerminating) return;
    const eppLog = logPath(folder, this.#only('epp').name, 'epp');
    if (workload.component === 'gateway' && this.#only('epp').workload.isHosted) announceEpp(eppLog, name);
    const context: PodContext = { podName: name, namespace, ports, gateway: { ...gateway, eppLog } };
    pod.containers = workload.containers.map(
      (template, index) =>
        new Container({
          name: template.name,
          args: containerArgs(template, index, context),
          env: { ...template.env, POD_NAME: name, POD_NAMESPACE: namespace },
          port: ports[index]!,
          probe: containerProbe(template, index, context),
          logPath: logPath(folder, name, template.name),
          workingFolder: folder,
          sockets: template.program === 'gateway' ? this.#options.gatewaySockets : [],
          onChange: () => this.#changed(),
        }),
    );
    this.#log.info({ pod: name, ports }, 'starting');
    for (const container of pod.containers) container.start();
  }

  /** Those by which pods know each other stay the same; an Envoy has its own admin port besides. */
  async #portsFor({ component, containers }: Workload): Promise<number[]> {
    const { port, eppPort } = this.#options.gateway;
    if (component === 'gateway') return [port, ...(containers[0]?.program === 'envoy' ? await freePorts(1) : [])];
    return component === 'epp' ? [eppPort] : freePorts(containers.length);
  }

  /** Engine first, then the sidecar through which its last answers leave. */
  async #end(pod: Pod, withinMs: number, before?: Promise<void>): Promise<void> {
    if (pod.isTerminating) return;
    pod.isTerminating = true;
    this.#writeEndpoints();
    this.#changed();
    await before;
    if (pod.workload.labels[roleLabel] !== undefined) await sleep(leaveMs);
    for (const container of pod.containers.toReversed()) await container.stop(withinMs);
    if (this.#stopping) return;
    this.#pods.splice(this.#pods.indexOf(pod), 1);
    rmSync(join(logsFolder(this.#options.folder), pod.name), { recursive: true, force: true });
    this.#log.info({ pod: pod.name }, 'ended');
    this.#changed();
  }

  #containers(from: (workload: Workload) => boolean): Container[] {
    return this.#pods.filter(({ workload }) => from(workload)).flatMap(({ containers }) => containers);
  }

  #active(component: Component): Pod[] {
    return this.#pods.filter((pod) => pod.workload.component === component && !pod.isTerminating);
  }

  #only(component: Component): Pod {
    return this.#pods.findLast((pod) => pod.workload.component === component)!;
  }

  #stateOf(pod: Pod): PodState {
    if (pod.workload.component === 'epp' && pod.workload.isHosted) return eppState(pod, this.#only('gateway'));
    if (pod.workload.component === 'modelservice') return modelserviceState(pod, this.#options.controlPort);
    return pod.state();
  }

  #changed(): void {
    if (this.#changePending) return;
    this.#changePending = true;
    queueMicrotask(() => {
      this.#changePending = false;
      if (this.#stopping) return;
      this.#writeEndpoints();
      this.#options.onChange(this.pods);
    });
  }

  #writeEndpoints(): void {
    const file: EndpointsFile = { endpoints: [] };
    for (const pod of this.#pods) {
      const { address, name } = pod;
      if (address === null || pod.workload.labels[roleLabel] === undefined) continue;
      file.endpoints.push({ name, address, labels: { ...pod.workload.labels }, ready: pod.isReady });
    }
    const text = JSON.stringify(file);
    if (text === this.#endpointsWritten) return;
    this.#endpointsWritten = text;
    writeAtOnce(endpointsPath(this.#options.folder), file);
  }

  /** The modelservice pod's own log, since that pod is this supervisor. */
  get #log(): Logger {
    const pod = this.#only('modelservice').name;
    return (this.#logger ??= createLogger(
      'modelservice',
      lineFile(logPath(this.#options.folder, pod, 'modelservice')),
    ));
  }

  #rotateLogs(): void {
    for (const { name, workload } of this.#pods) {
      for (const container of workload.containers) {
        rotateIfLarge(logPath(this.#options.folder, name, container.name));
      }
    }
  }
}

function startFailure({ name, logPath: path, env }: ContainerOptions): SignalboxError {
  const tail = readTail(path, 8).trimEnd();
  const lines = tail === '' ? '  (its log is empty)' : tail.replace(/^/gm, '  ');
  return new SignalboxError('environment', `${env['POD_NAME']}/${name} does not start; its last lines:\n${lines}`);
}

/** The EPP's log says where the EPP is, as nothing else in it would. */
function announceEpp(eppLog: string, gatewayPod: string): void {
  const line = {
    level: 'info',
    ts: new Date().toISOString(),
    msg: `This EPP runs in the process of pod ${gatewayPod}`,
  };
  mkdirSync(dirname(eppLog), { recursive: true });
  appendFileSync(eppLog, `${JSON.stringify(line)}\n`);
}
