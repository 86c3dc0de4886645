import { Command, Option } from 'commander';
import { portNumber } from './arguments.ts';
import { untilSignalled } from './signals.ts';

interface Flags {
  host: string;
  port: number;
  vllmPort: number;
  connector?: string;
}

export function sidecarCommand(): Command {
  return new Command('sidecar')
    .description('Run the routing proxy that stands in front of a decode engine.')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on', portNumber, 8000)
    .option('--vllm-port <port>', 'port of the engine on this machine', portNumber, 8001)
    .addOption(
      new Option(
        '--connector <name>',
        'how caches are handed over from prefill (not built yet: has no effect)',
      ).choices(['nixl', 'nixlv2', 'lmcache']),
    )
    .action(async ({ host, port, vllmPort, connector }: Flags) => {
      const { startSidecar } = await import('../sidecar/sidecar.ts');
      const sidecar = await startSidecar({ host, port, enginePort: vllmPort, connector: connector ?? null });
      await untilSignalled();
      await sidecar.close();
    });
}
