import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, SignalboxError } from '../base/errors.ts';
import { parseYaml } from '../base/yaml.ts';

/** Where a cluster's API is, and what it is asked with. */
export interface ClusterAccess {
  /** `https://host:port` */
  readonly server: string;
  /** PEM. */
  readonly ca?: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
  readonly insecure: boolean;
  /** The namespace when none is named. */
  readonly namespace: string;
  /** The bearer token of now: those of pods are replaced hourly. */
  token(): Promise<string | null>;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
const tokenIsFreshMs = 60_000;

/** As kubectl and client-go find it: KUBECONFIG, else the pod's own service account, else ~/.kube/config. */
export async function clusterAccess(environment: NodeJS.ProcessEnv = process.env): Promise<ClusterAccess> {
  const named = environment['KUBECONFIG'];
  if (named !== undefined && named !== '') return fromKubeconfig(named.split(':')[0]!);
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host === undefined) return fromKubeconfig(join(homedir(), '.kube/config'));
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: await read(`${serviceAccount}/ca.crt`),
    insecure: false,
    namespace: (await read(`${serviceAccount}/namespace`)).trim(),
    token: tokenFile(`${serviceAccount}/token`),
  };
}

const kubeconfigSchema = z.object({
  'current-context': z.string(),
  contexts: z.array(
    z.object({
      name: z.string(),
      context: z.object({ cluster: z.string(), user: z.string(), namespace: z.string().optional() }),
    }),
  ),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.string(),
        'certificate-authority': z.string().optional(),
        'certificate-authority-data': z.string().optional(),
        'insecure-skip-tls-verify': z.boolean().optional(),
      }),
    }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({
        token: z.string().optional(),
        tokenFile: z.string().optional(),
        'client-certificate': z.string().optional(),
        'client-certificate-data': z.string().optional(),
        'client-key': z.string().optional(),
        'client-key-data': z.string().optional(),
        exec: z.unknown().optional(),
      }),
    }),
  ),
});

async function fromKubeconfig(path: string): Promise<ClusterAccess> {
  const config = parseYaml(await read(path), path, kubeconfigSchema);
  const missing = (what: string, name: string): SignalboxError =>
    new SignalboxError('config_invalid', `${path}: there is no ${what} called "${name}"`, { param: path });
  const current = config['current-context'];
  const context = config.contexts.find(({ name }) => name === current)?.context;
  if (context === undefined) throw missing('context', current);
  const cluster = config.clusters.find(({ name }) => name === context.cluster)?.cluster;
  if (cluster === undefined) throw missing('cluster', context.cluster);
  const user = config.users.find(({ name }) => name === context.user)?.user;
  if (user === undefined) throw missing('user', context.user);
  if (user.exec !== undefined) {
    throw new SignalboxError(
      'environment',
      `${path}: user "${context.user}" logs in by a program (exec), which is not supported: use a token or a client certificate, or run in the cluster`,
    );
  }
  const material = async (data: string | undefined, file: string | undefined): Promise<string | undefined> => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString();
    return file === undefined ? undefined : read(resolve(dirname(path), file));
  };
  const ca = await material(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = await material(user['client-certificate-data'], user['client-certificate']);
  const key = await material(user['client-key-data'], user['client-key']);
  const { token, tokenFile: file } = user;
  return {
    server: cluster.server.replace(/\/$/, ''),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { certificate: { cert, key } }),
    insecure: cluster['insecure-skip-tls-verify'] ?? false,
    namespace: context.namespace ?? 'default',
    token: token === undefined && file !== undefined ? tokenFile(file) : () => Promise.resolve(token ?? null),
  };
}

function tokenFile(path: string): () => Promise<string> {
  let token = '';
  let readAtMs = -Infinity;
  return async () => {
    const nowMs = performance.now();
    if (nowMs - readAtMs > tokenIsFreshMs) {
      token = (await read(path)).trim();
      readAtMs = nowMs;
    }
    return token;
  };
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new SignalboxError('environment', `no way to a Kubernetes cluster: ${path}: ${messageOf(error)}`);
  });
}
