import { SignalboxError } from '../../base/errors.ts';
import type { Values } from '../values.ts';
import { ours } from './names.ts';
import type { ClusterTools } from './tools.ts';

type Say = (text: string) => void;

function tokenSecret(values: Values): { name: string; key: string } {
  const { name = 'llm-d-hf-token', key = 'HF_TOKEN' } = (values.sampleApplication.model.auth?.hfToken ?? {}) as {
    name?: string;
    key?: string;
  };
  return { name, key };
}

/** @throws SignalboxError when the model is gated and there is no token for it, before anything is changed */
export async function mustHaveToken(tools: ClusterTools, namespace: string, values: Values, say: Say): Promise<void> {
  const { modelArtifactURI } = values.sampleApplication.model;
  if ((process.env['HF_TOKEN'] ?? '') !== '' || !modelArtifactURI.startsWith('hf://')) return;
  const gated = await isGated(modelArtifactURI.slice('hf://'.length));
  if (gated === null) say(`  ${hub()} does not say whether the model is gated; if it is, HF_TOKEN must be set`);
  if (gated !== true) return;
  const { name } = tokenSecret(values);
  if (await tools.succeeds('kubectl', ['get', 'secret', name, '-n', namespace])) return;
  throw new SignalboxError(
    'environment',
    `${modelArtifactURI} is a gated model: set HF_TOKEN to a token that may read it`,
  );
}

/** Puts HF_TOKEN into a Secret, by way of kubectl's standard input: arguments can be read by everybody. */
export async function giveToken(tools: ClusterTools, namespace: string, values: Values, say: Say): Promise<void> {
  const token = process.env['HF_TOKEN'] ?? '';
  if (token === '') return;
  const { name, key } = tokenSecret(values);
  const [label, value] = ours.split('=') as [string, string];
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, labels: { [label]: value } },
    stringData: { [key]: token },
  };
  await tools.run('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(secret));
  say(`  HF_TOKEN is in Secret ${name}`);
}

/** Where models are looked up: as Hugging Face's own tools have it. */
function hub(): string {
  return (process.env['HF_ENDPOINT'] ?? 'https://huggingface.co').replace(/\/$/, '');
}

/** Null when the hub does not say. */
async function isGated(repository: string): Promise<boolean | null> {
  try {
    const answer = await fetch(`${hub()}/api/models/${repository}`, { signal: AbortSignal.timeout(5000) });
    if (answer.status === 401) return true;
    const { gated = false } = (await answer.json()) as { gated?: unknown };
    return answer.ok ? gated !== false : null;
  } catch {
    return null;
  }
}
