import { hostname } from 'node:os';
import { Command } from 'commander';
import { portNumber, positiveWholeNumber } from './arguments.ts';
import { untilSignalled } from './signals.ts';

interface Flags {
  namespace?: string;
  host: string;
  port: number;
  image: string;
  imagePullPolicy: string;
  imagePullSecret: string[];
  leaderElect: boolean;
  leaseSeconds: number;
}

export function controllerCommand(): Command {
  return new Command('controller')
    .description(
      'Make and keep what the ModelServices of a Kubernetes namespace ask for: engines and endpoint pickers.',
    )
    .option('-n, --namespace <namespace>', "namespace to look after; this pod's or the kubeconfig's by default")
    .option('--host <host>', 'address to listen on', '0.0.0.0')
    .option('--port <port>', 'port of /healthz, /readyz and /metrics', portNumber, 8081)
    .requiredOption('--image <image>', "the product's image, for containers that name none")
    .option('--image-pull-policy <policy>', 'its pull policy', 'IfNotPresent')
    .option('--image-pull-secret <name...>', 'Secrets to pull images with', [])
    .option('--no-leader-elect', 'do not compete for a Lease: only one controller runs')
    .option('--lease-seconds <seconds>', 'how long a silent leader is waited for', positiveWholeNumber, 15)
    .action(async (flags: Flags) => {
      const { runController } = await import('../controller/controller.ts');
      const { createLogger } = await import('../base/log.ts');
      const { namespace, imagePullSecret, ...rest } = flags;
      const abort = new AbortController();
      void untilSignalled().then(() => abort.abort());
      const options = {
        ...rest,
        ...(namespace === undefined ? {} : { namespace }),
        identity: `${hostname()}_${process.pid}`,
        imagePullSecrets: imagePullSecret,
        log: createLogger('modelservice'),
      };
      await runController(options, abort.signal);
    });
}
