import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { print } from './print.ts';
import { printComparison } from './shadow-lines.ts';
import { giveOrder } from '../stack/control.ts';
import { isRunning } from '../stack/process-identity.ts';
import { cleanUp, readState, runningState, stackFolder } from '../stack/state.ts';

export function downCommand(): Command {
  return new Command('down')
    .description('End a stack: the gateway first, then the engines. Does nothing when none runs.')
    .option('-n, --namespace <name>', 'which stack', 'default')
    .action(({ namespace }: { namespace: string }) => down(namespace));
}

async function down(namespace: string): Promise<void> {
  const state = runningState(namespace);
  if (state === null) {
    const wasLeft = readState(stackFolder(namespace)) !== null;
    cleanUp(stackFolder(namespace));
    return print(
      wasLeft ? `the stack in namespace ${namespace} had died; cleaned up` : `no stack runs in namespace ${namespace}`,
    );
  }
  await printComparison(state.adminUrl);
  await giveOrder(state, { do: 'down' });
  while (isRunning(state.supervisor)) await sleep(20);
  print(`the stack in namespace ${namespace} has ended`);
}
