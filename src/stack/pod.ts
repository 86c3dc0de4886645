import type { Workload } from './components.ts';
import type { Container } from './container.ts';
import { identify } from './process-identity.ts';
import type { PodState } from './state.ts';

/** One replica of a workload, as processes of this machine. */
export class Pod {
  readonly name: string;
  readonly workload: Workload;
  readonly createdAtMs = Date.now();
  /** Empty until its ports are known. */
  containers: readonly Container[] = [];
  isTerminating = false;

  constructor(name: string, workload: Workload) {
    this.name = name;
    this.workload = workload;
  }

  get isReady(): boolean {
    return this.containers.length > 0 && !this.isTerminating && this.containers.every(({ ready }) => ready);
  }

  /** Whether it has processes of its own that are not all ready yet. */
  get isStarting(): boolean {
    return !this.workload.isHosted && !this.isTerminating && !this.isReady;
  }

  /** Where requests reach it: the first container, which in a decode pod is the sidecar. */
  get address(): string | null {
    const first = this.containers[0];
    return first === undefined ? null : `127.0.0.1:${first.options.port}`;
  }

  state(): PodState {
    return {
      ...described(this),
      status: this.#status(),
      hostedBy: null,
      containers: this.containers.map((container) => ({
        name: container.options.name,
        ready: container.ready,
        restarts: container.restarts,
        port: container.options.port,
        process: container.process,
      })),
    };
  }

  /** In kubectl's words. */
  #status(): string {
    if (this.isTerminating) return 'Terminating';
    if (this.containers.length === 0) return 'ContainerCreating';
    return this.containers.some(({ isBackingOff }) => isBackingOff) ? 'CrashLoopBackOff' : 'Running';
  }
}

/** The EPP's state: it lives, becomes ready and starts again with the gateway's process. */
export function eppState(epp: Pod, gateway: Pod): PodState {
  const host = gateway.state();
  const containers = host.containers.map((container) => ({ ...container, name: 'epp', port: null }));
  return { ...described(epp), status: host.status, hostedBy: gateway.name, containers };
}

/** The modelservice's state: it is this process. */
export function modelserviceState(pod: Pod, controlPort: number): PodState {
  const self = { ready: true, restarts: 0, port: controlPort, process: identify(process.pid) };
  const containers = pod.workload.containers.map(({ name }) => ({ name, ...self }));
  return { ...described(pod), status: 'Running', hostedBy: null, containers };
}

function described(pod: Pod): Pick<PodState, 'name' | 'component' | 'createdAtMs' | 'labels'> {
  return {
    name: pod.name,
    component: pod.workload.component,
    createdAtMs: pod.createdAtMs,
    labels: { ...pod.workload.labels, 'pod-template-hash': pod.workload.hash },
  };
}
