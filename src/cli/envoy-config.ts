import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { SignalboxError } from '../base/errors.ts';
import { endpointFromUrl } from '../fleet/discovery/endpoint-url.ts';
import { portNumber } from './arguments.ts';

interface Flags {
  host: string;
  port: number;
  adminPort?: number;
  epp: string;
  secureServing: boolean;
  eppCa?: string;
  eppCertPath?: string;
  endpoint?: string[];
  endpointsFromEpp: boolean;
  failOpen: boolean;
  pool?: string;
  output?: string;
}

export function envoyConfigCommand(): Command {
  return new Command('envoy-config')
    .description('Print a bootstrap for Envoy (tried with 1.40) that asks `signalbox epp` where each request goes.')
    .option('--host <host>', 'address that Envoy listens on', '127.0.0.1')
    .option('--port <port>', 'port that Envoy listens on', portNumber, 8080)
    .option('--admin-port <port>', "port of Envoy's own admin pages; none without it", portNumber)
    .option('--epp <host:port>', 'where the EPP is', '127.0.0.1:9002')
    .option('--no-secure-serving', 'the EPP serves without TLS')
    .option('--epp-ca <file>', "the authority that must have signed the EPP's certificate; without, any will do")
    .option('--epp-cert-path <folder>', 'folder with tls.crt and tls.key to show to an EPP that has --client-ca')
    .option('--endpoint <url...>', 'the engines, for retries on the fallbacks; without, run the EPP with --fallbacks 0')
    .addOption(
      new Option('--endpoints-from-epp', 'Envoy hears of the engines from `signalbox epp` itself')
        .default(false)
        .conflicts('endpoint'),
    )
    .option('--fail-open', 'spread requests on the engines while the EPP is gone, instead of failing them', false)
    .option('--pool <name>', "the EPP's pool that requests are for, where it has several; without, their models tell")
    .option('--output <file>', 'write it there')
    .action(async (flags: Flags) => {
      const named = (flags.endpoint ?? []).map((url) => hostAndPort(endpointFromUrl(url).address, '--endpoint'));
      const endpoints = flags.endpointsFromEpp ? null : named;
      if (flags.failOpen && endpoints?.length === 0) {
        throw new SignalboxError(
          'usage',
          '--fail-open needs to know the engines: --endpoint URL…, or --endpoints-from-epp',
        );
      }
      if (!flags.secureServing && (flags.eppCa ?? flags.eppCertPath) !== undefined) {
        throw new SignalboxError('usage', '--epp-ca and --epp-cert-path are for an EPP that serves TLS');
      }
      const { envoyBootstrap } = await import('../epp/envoy-bootstrap.ts');
      const bootstrap = envoyBootstrap({
        listen: { host: flags.host, port: flags.port },
        adminPort: flags.adminPort ?? null,
        epp: { ...hostAndPort(flags.epp, '--epp'), tls: flags.secureServing ? filesOf(flags) : null },
        endpoints,
        failOpen: flags.failOpen,
        pool: flags.pool ?? null,
      });
      if (flags.output === undefined) process.stdout.write(bootstrap);
      else writeFileSync(flags.output, bootstrap);
    });
}

/** By their whole paths, for Envoy may be started elsewhere. */
function filesOf({ eppCa, eppCertPath }: Flags): { ca?: string; certPath?: string } {
  return {
    ...(eppCa === undefined ? {} : { ca: resolve(eppCa) }),
    ...(eppCertPath === undefined ? {} : { certPath: resolve(eppCertPath) }),
  };
}

export function hostAndPort(text: string, flag: string): { host: string; port: number } {
  const match = /^\[?([^[\]]+)\]?:(\d{1,5})$/.exec(text);
  if (match === null) throw new SignalboxError('usage', `${flag} ${text}: write it as host:port`);
  return { host: match[1]!, port: portNumber(match[2]!) };
}
