import { Command, Option } from 'commander';
import { install, type InstallOptions } from '../stack/install/install.ts';
import { uninstall } from '../stack/install/uninstall.ts';
import { positiveWholeNumber } from './arguments.ts';
import { print } from './print.ts';

interface Flags extends Omit<InstallOptions, 'valuesFile'> {
  valuesFile: string;
}

/** Flags of the original installer that ask for what is so anyway, or for what this one does not do. */
const taken = ['-m, --disable-metrics-collection', '-i, --skip-infra', '-k, --minikube', '-d, --debug'];

export function installCommand(): Command {
  const command = shared(new Command('install'))
    .description('Install on Kubernetes what a values file describes, and wait until a request is answered.')
    .option('-f, --values-file <file>', 'values file', 'examples/base/prefix-and-load-aware.yaml')
    .option('-j, --gateway <class>', 'envoy, signalbox (the gateway with the scheduler in it), or a GatewayClass')
    .addOption(
      new Option('--engine <engine>', 'auto simulates where no node has a GPU')
        .choices(['auto', 'vllm', 'simulated'])
        .default('auto'),
    )
    .option('--set <value...>', 'further values, as helm has them', [])
    .option('--dry-run', 'only print what would be applied')
    .option('--wait <seconds>', 'how long to wait for the first answer', positiveWholeNumber, 900)
    .option('--no-wait', 'do not wait');
  for (const flags of taken) command.addOption(new Option(flags).hideHelp());
  return command.action(async (flags: Flags) => install(flags, print));
}

export function uninstallCommand(): Command {
  return shared(new Command('uninstall'))
    .description('Remove what install made in a namespace, and nothing else.')
    .addOption(new Option('-u, --uninstall').hideHelp())
    .action(async (flags: { namespace: string; context?: string }) => uninstall(flags, print));
}

function shared(command: Command): Command {
  return command
    .option('-n, --namespace <namespace>', 'namespace', 'llm-d')
    .option('-g, --context <file>', 'kubeconfig file');
}
