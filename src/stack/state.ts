import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SignalboxError } from '../base/errors.ts';
import { isRunning, killIfRunning } from './process-identity.ts';

const identitySchema = z.object({ pid: z.int(), start: z.string() });

const podSchema = z.object({
  name: z.string(),
  component: z.enum(['gateway', 'modelservice', 'epp', 'decode', 'prefill']),
  status: z.string(),
  createdAtMs: z.number(),
  labels: z.record(z.string(), z.string()),
  /** The pod in whose process this one lives; null for a pod with processes of its own. */
  hostedBy: z.string().nullable(),
  containers: z.array(
    z.object({
      name: z.string(),
      ready: z.boolean(),
      restarts: z.int(),
      port: z.int().nullable(),
      process: identitySchema.nullable(),
    }),
  ),
});

const stateSchema = z.object({
  version: z.literal(1),
  namespace: z.string(),
  supervisor: identitySchema,
  gatewayUrl: z.string(),
  adminUrl: z.string(),
  control: z.object({ port: z.int(), token: z.string() }),
  pods: z.array(podSchema),
});

/** What a running stack tells the other commands, in `state.json`; rewritten at every change. */
export type StackState = z.infer<typeof stateSchema>;
export type PodState = z.infer<typeof podSchema>;

/** Where a namespace's stack keeps its files. Throws `usage` for a name that Kubernetes would refuse. */
export function stackFolder(namespace: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw new SignalboxError(
      'usage',
      `"${namespace}" is no namespace: lower-case letters, digits and dashes, up to 63`,
    );
  }
  const { SIGNALBOX_HOME, XDG_STATE_HOME } = process.env;
  const home = SIGNALBOX_HOME || join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'signalbox');
  return join(home, namespace);
}

export const statePath = (folder: string): string => join(folder, 'state.json');
export const endpointsPath = (folder: string): string => join(folder, 'endpoints.json');
export const logsFolder = (folder: string): string => join(folder, 'logs');
export const logPath = (folder: string, pod: string, container: string): string =>
  join(logsFolder(folder), pod, `${container}.log`);

/** Writes beside and renames, so that no reader sees half a file. Only the owner may read it: it holds the control token. */
export function writeAtOnce(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The state as last written, whoever wrote it; null when there is none, or none that this version can read. */
export function readState(folder: string): StackState | null {
  try {
    return stateSchema.safeParse(JSON.parse(readFileSync(statePath(folder), 'utf8'))).data ?? null;
  } catch {
    return null;
  }
}

/** The state of the stack that runs in `namespace`; null when none does, also when its supervisor was killed. */
export function runningState(namespace: string): StackState | null {
  const state = readState(stackFolder(namespace));
  return state !== null && isRunning(state.supervisor) ? state : null;
}

/** As `runningState`, but throws `environment` when nothing runs. */
export function expectRunning(namespace: string): StackState {
  const state = runningState(namespace);
  if (state !== null) return state;
  const flag = namespace === 'default' ? '' : ` -n ${namespace}`;
  throw new SignalboxError('environment', `no stack runs in namespace ${namespace}; "signalbox up${flag}" starts one`);
}

/** Ends whatever a dead supervisor left running and forgets its state. */
export function cleanUp(folder: string): void {
  for (const { component, containers } of readState(folder)?.pods ?? []) {
    // That one is the supervisor itself: dead, or the one that cleans up.
    if (component === 'modelservice') continue;
    for (const { process } of containers) if (process !== null) killIfRunning(process);
  }
  for (const path of [statePath(folder), endpointsPath(folder)]) rmSync(path, { force: true });
}

/** An empty place for a new stack's files; the logs of the one before go. */
export function prepare(folder: string): void {
  cleanUp(folder);
  rmSync(logsFolder(folder), { recursive: true, force: true });
  mkdirSync(logsFolder(folder), { recursive: true, mode: 0o700 });
}
