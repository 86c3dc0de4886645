import { Argument, Command, InvalidArgumentError } from 'commander';
import { print } from './print.ts';
import { giveOrder } from '../stack/control.ts';
import { expectRunning } from '../stack/state.ts';

export function scaleCommand(): Command {
  return new Command('scale')
    .description('Set how many decode or prefill pods run. Returns when new ones are ready, or the surplus is gone.')
    .addArgument(new Argument('<role>', 'which pods').choices(['decode', 'prefill']))
    .argument('<replicas>', 'how many (0 to 64)', replicaCount)
    .option('-n, --namespace <name>', 'which stack', 'default')
    .action(async (role: 'decode' | 'prefill', replicas: number, { namespace }: { namespace: string }) => {
      await giveOrder(expectRunning(namespace), { do: 'scale', role, replicas });
      print(`${role} scaled to ${replicas}`);
    });
}

function replicaCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= 64) return count;
  throw new InvalidArgumentError('expected a whole number from 0 to 64');
}
