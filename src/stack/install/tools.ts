import { spawn } from 'node:child_process';
import { messageOf, SignalboxError } from '../../base/errors.ts';

/** kubectl and helm, on one cluster. */
export class ClusterTools {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(kubeconfig: string | undefined) {
    this.#environment = { ...process.env, ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }) };
  }

  get environment(): NodeJS.ProcessEnv {
    return this.#environment;
  }

  /** What the program prints. @throws SignalboxError with what it says, when it fails or is not there */
  async run(program: 'kubectl' | 'helm', args: readonly string[], input = ''): Promise<string> {
    const { status, stdout, stderr } = await this.#spawn(program, args, input);
    if (status === 0) return stdout;
    throw new SignalboxError('environment', `${program} ${args.slice(0, 3).join(' ')} …: ${stderr.trim()}`);
  }

  /** Whether it succeeds. */
  async succeeds(program: 'kubectl' | 'helm', args: readonly string[]): Promise<boolean> {
    return (await this.#spawn(program, args, '')).status === 0;
  }

  #spawn(
    program: string,
    args: readonly string[],
    input: string,
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { env: this.#environment, stdio: ['pipe', 'pipe', 'pipe'] });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.stdin.on('error', () => undefined).end(input);
      child.on('error', (error) => reject(new SignalboxError('environment', `${program}: ${messageOf(error)}`)));
      child.on('close', (code) => resolve({ status: code ?? 1, stdout, stderr }));
    });
  }
}

/** @throws SignalboxError that ends with the command that does the same here, where there is no way to a cluster */
export async function clusterTools(kubeconfig: string | undefined, instead: string): Promise<ClusterTools> {
  const tools = new ClusterTools(kubeconfig);
  const here = `\nThe same on this machine, without Kubernetes: ${instead}`;
  for (const [program, args] of [
    ['kubectl', ['version', '--client']],
    ['helm', ['version']],
  ] as const) {
    if (!(await tools.succeeds(program, args).catch(() => false))) {
      throw new SignalboxError('environment', `${program} is needed, and is not on the PATH${here}`);
    }
  }
  if (!(await tools.succeeds('kubectl', ['get', '--raw', '/readyz', '--request-timeout=10s']))) {
    throw new SignalboxError('environment', `kubectl reaches no cluster (kubectl cluster-info says why)${here}`);
  }
  return tools;
}
