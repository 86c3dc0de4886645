import { Argument, Command } from 'commander';
import { print } from './print.ts';
import { giveOrder } from '../stack/control.ts';
import { expectRunning } from '../stack/state.ts';
import { bareName } from '../stack/pod-names.ts';

export function deleteCommand(): Command {
  return new Command('delete')
    .description('End a pod after its requests are finished; another one is started in its place at once.')
    .addArgument(new Argument('<resource>', 'what to delete').choices(['pod', 'pods', 'po']))
    .argument('<name...>', 'which pods')
    .option('-n, --namespace <name>', 'which stack', 'default')
    .action(async (_resource: string, names: string[], { namespace }: { namespace: string }) => {
      const state = expectRunning(namespace);
      for (const name of names.map(bareName)) {
        await giveOrder(state, { do: 'delete', pod: name });
        print(`pod "${name}" deleted`);
      }
    });
}
