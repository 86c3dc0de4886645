import { Argument, Command } from 'commander';
import { print } from './print.ts';
import { podReport, podTable } from '../stack/pod-report.ts';
import { selectPods } from '../stack/pod-names.ts';
import { expectRunning } from '../stack/state.ts';

interface Flags {
  namespace: string;
  selector?: string;
  json?: true;
}

export function getCommand(): Command {
  return new Command('get')
    .description('Show the pods of a stack.')
    .addArgument(new Argument('<resource>', 'what to show').choices(['pods', 'pod', 'po']))
    .argument('[name]', 'one pod')
    .option('-n, --namespace <name>', 'which stack', 'default')
    .option('-l, --selector <selector>', "by labels, e.g. llm-d.ai/role=decode or 'llm-d.ai/role in (decode, prefill)'")
    .option('--json', 'one JSON document')
    .action((_resource: string, name: string | undefined, { namespace, selector, json }: Flags) => {
      const pods = selectPods(expectRunning(namespace), name, selector);
      const reports = pods.map((pod) => podReport(pod, Date.now()));
      if (json) print(JSON.stringify(reports, null, 2));
      else if (reports.length > 0) print(podTable(reports));
      else process.stderr.write(`No resources found in ${namespace} namespace.\n`);
    });
}
