import { Command } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { endpointFromUrl } from '../fleet/discovery/endpoint-url.ts';
import { AdminApi } from './admin-api.ts';
import { examine, type Finding } from './doctor/examine.ts';
import { print } from './print.ts';

interface Flags {
  endpoint?: string[];
  namespace: string;
  url?: string;
  json?: true;
}

const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' };

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Check engines end to end: reachable, prefix caching, KV events and replay, token ids, and whether a prompt sent ' +
        'twice is predicted and reported as cached. It sends two short prompts to each. Without --endpoint those of the ' +
        'running stack.',
    )
    .option('--endpoint <url...>', 'engines to check, as http://host:port')
    .option('-n, --namespace <name>', 'the stack whose engines are checked', 'default')
    .option('--url <url>', "a gateway's admin API, to check its engines")
    .option('--json', 'one JSON document')
    .action(async (flags: Flags) => {
      const report: { endpoint: string; findings: Finding[] }[] = [];
      for (const { name, address } of await enginesOf(flags)) {
        const findings: Finding[] = [];
        report.push({ endpoint: name, findings });
        if (!flags.json) print(name);
        for await (const finding of examine(address)) {
          findings.push(finding);
          if (!flags.json) print(lineOf(finding));
        }
      }
      if (flags.json) print(JSON.stringify(report, null, 2));
      const failed = report.filter(({ findings }) => findings.some(({ result }) => result === 'fail'));
      if (failed.length > 0) {
        process.stderr.write(
          `${failed.map(({ endpoint }) => endpoint).join(', ')}: something is not as it should be\n`,
        );
        process.exitCode = 1;
      }
    });
}

async function enginesOf({ endpoint, namespace, url }: Flags): Promise<{ name: string; address: string }[]> {
  if (endpoint !== undefined) return endpoint.map(endpointFromUrl);
  const known = await AdminApi.of(namespace, url).endpoints();
  if (known.length === 0)
    throw new SignalboxError('environment', 'the gateway knows no endpoint; name one: --endpoint URL');
  return known;
}

function lineOf({ check, result, seen, advice }: Finding): string {
  const line = `  ${marks[result]}  ${check.padEnd(16)} ${seen}`;
  return advice === null ? line : `${line}\n        ${''.padEnd(16)} → ${advice}`;
}
