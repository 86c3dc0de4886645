import assert from 'node:assert/strict';
import { join } from 'node:path';
import { repository, runCommand, type CommandResult } from '../support/command.ts';
import { complete } from '../support/stack.ts';
import { walkthroughModel } from '../support/walkthrough-prompts.ts';
import { startCluster, type Cluster } from './cluster/cluster.ts';

/** The stem of the walkthrough's objects, its namespace and its values file. */
export const stem = 'meta-llama-llama-3-2-3b-instruct';
export const namespace = 'greg-test';
export const values = 'examples/base/prefix-and-load-aware.yaml';

/** The cluster that all of this leg's tests use, and what a user does there. */
export class OneNode {
  #cluster: Cluster | null = null;

  async start(): Promise<void> {
    this.#cluster = await startCluster();
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
  }

  get cluster(): Cluster {
    assert.ok(this.#cluster, 'the cluster has not been started');
    return this.#cluster;
  }

  get environment(): { KUBECONFIG: string; PATH: string } {
    return { KUBECONFIG: this.cluster.kubeconfig, PATH: this.cluster.path };
  }

  /** What kubectl prints; fails when it does. */
  async kubectl(...commandArguments: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.cluster.kubectl(...commandArguments);
    assert.equal(status, 0, `kubectl ${commandArguments.join(' ')}: ${stderr}`);
    return stdout;
  }

  apply(objects: string, inNamespace = namespace): Promise<CommandResult> {
    return runCommand('kubectl', ['apply', '-n', inNamespace, '-f', '-'], { env: this.environment, input: objects });
  }

  /** The installer, as a user of `program` calls it from the folder `quickstart`. */
  installer(...commandArguments: string[]): Promise<CommandResult> {
    return this.installerWith({}, ...commandArguments);
  }

  installerWith(env: Record<string, string>, ...commandArguments: string[]): Promise<CommandResult> {
    const script = join(repository, 'quickstart/llmd-installer.sh');
    const options = { cwd: join(repository, 'quickstart'), env: { ...this.environment, ...env } };
    return runCommand('sh', [script, ...commandArguments], options);
  }

  /** A command of the walkthrough, in a shell. */
  async shell(program: 'bash' | 'zsh', script: string): Promise<string> {
    const { status, stdout, stderr } = await runCommand(program, ['-c', script], { env: this.environment });
    assert.equal(status, 0, stderr);
    return stdout;
  }

  async gatewayUrl(inNamespace = namespace): Promise<string> {
    const path = 'jsonpath={.spec.ports[0].nodePort}';
    const port = await this.kubectl('get', 'service', 'llm-d-inference-gateway', '-n', inNamespace, '-o', path);
    return `http://${this.cluster.nodeAddress}:${port}`;
  }

  /** Decode pods that serve. */
  async decodePods(): Promise<string[]> {
    const lines = await this.kubectl('get', 'pods', '-n', namespace, '-l', 'llm-d.ai/role=decode', '--no-headers');
    return lines
      .split('\n')
      .filter((line) => / 2\/2 +Running/.test(line))
      .map((line) => line.split(' ')[0]!);
  }

  /** Requests without pause while `step` runs and a little longer. Every one must be answered in full. */
  async underLoad(url: string, step: () => Promise<unknown>): Promise<void> {
    let going = true;
    const failures: string[] = [];
    let answered = 0;
    const user = async (index: number): Promise<void> => {
      for (let turn = 0; going; turn++) {
        try {
          const { status, body } = await complete(url, walkthroughModel, `user ${index} turn ${turn}`, 20);
          if (status === 200 && body.choices.length === 1) answered += 1;
          else failures.push(`${status} ${JSON.stringify(body)}`);
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    const users = Array.from({ length: 6 }, (_, index) => user(index));
    try {
      await step();
      await new Promise((done) => setTimeout(done, 2000));
    } finally {
      going = false;
      await Promise.all(users);
    }
    assert.deepEqual(failures, [], `${answered} were answered`);
    assert.ok(answered > 10, `only ${answered} were answered`);
  }
}
