import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { repository, runCommand } from '../support/command.ts';
import type { Place } from './replicas.ts';

/** A machine of its own, as far as the network is concerned. */
export interface Machine extends Place {
  /** Nothing passes any more, in either direction. */
  unplug(): Promise<void>;
  /** What it sends to this TCP port, or what comes from there, is lost without a word. */
  lose(direction: 'sent' | 'received', port: number): Promise<void>;
  mend(): Promise<void>;
}

/** Why there can be no machines here; false when there can. */
export async function whyNoNetwork(): Promise<string | false> {
  const { status, stderr } = await runCommand('sh', [join(repository, 'test/replicas/install-network.sh')]);
  return status === 0 ? false : stderr.trim().split('\n').at(-1)!;
}

/** A switch with machines on it, gone when the test ends. `host` is this machine's own address there. */
export async function startNetwork(t: TestContext) {
  const id = randomInt(36 ** 5).toString(36);
  // One of many private networks, so that tests beside each other do not meet.
  const network = `10.${randomInt(200, 250)}.${randomInt(1, 250)}`;
  const bridge = `sb-${id}`;
  const host = `${network}.1`;
  t.after(() => run('ip', 'link', 'del', bridge));
  await run('ip', 'link', 'add', bridge, 'type', 'bridge');
  await run('ip', 'addr', 'add', `${host}/24`, 'dev', bridge);
  await run('ip', 'link', 'set', bridge, 'up');
  let machines = 0;

  const addMachine = async (): Promise<Machine> => {
    const number = ++machines;
    const [namespace, plug] = [`signalbox-${id}-${number}`, `sb-${id}-${number}`];
    const address = `${network}.${number + 1}`;
    const inside = (...command: string[]): Promise<void> => run('ip', 'netns', 'exec', namespace, ...command);
    await run('ip', 'netns', 'add', namespace);
    t.after(() => run('ip', 'netns', 'del', namespace));
    await run('ip', 'link', 'add', plug, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    // With its namespace it would go only once the last process there has.
    t.after(() => run('ip', 'link', 'del', plug));
    await run('ip', 'link', 'set', plug, 'master', bridge, 'up');
    await inside('ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    await inside('ip', 'link', 'set', 'eth0', 'up');
    await inside('ip', 'link', 'set', 'lo', 'up');
    return {
      host: address,
      command: ['ip', 'netns', 'exec', namespace],
      unplug: () => run('ip', 'link', 'set', plug, 'down'),
      lose: (direction, port) => {
        const [chain, end] = direction === 'sent' ? ['OUTPUT', '--dport'] : ['INPUT', '--sport'];
        return inside('iptables', '-A', chain, '-p', 'tcp', end, String(port), '-j', 'DROP');
      },
      async mend() {
        await run('ip', 'link', 'set', plug, 'up');
        await inside('iptables', '-F');
      },
    };
  };
  return { host, addMachine };
}

async function run(...[program, ...rest]: [string, ...string[]]): Promise<void> {
  const { status, stderr } = await runCommand(program, rest);
  if (status !== 0) throw new Error(`${[program, ...rest].join(' ')}: ${stderr}`);
}
