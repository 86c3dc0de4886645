import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { handDown } from '../base/handed-down.ts';
import { extname, join } from 'node:path';
import type { HeldSocket } from './held-socket.ts';
import { openLog } from './log-file.ts';
import { parentPipeVariable } from './parent-watch.ts';
import { isReady, type Probe } from './probe.ts';
import { identify, type ProcessIdentity } from './process-identity.ts';

export interface ContainerOptions {
  readonly name: string;
  /** The command line after `signalbox`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
  readonly probe: Probe;
  readonly logPath: string;
  readonly workingFolder: string;
  /** What it listens with, where that is kept while it is started anew. */
  readonly sockets: readonly HeldSocket[];
  /** Called after every change of `ready`, `process`, `restarts` or `isBackingOff`. */
  readonly onChange: () => void;
}

const startProbeMs = 25;
const patientProbeMs = 250;
const readyProbeMs = 1000;
const probeTimeoutMs = 1000;
/** So many probes in a row must fail before a ready container counts as not ready. */
const toleratedFailures = 2;
/** A container that was ready this long starts without delay when it dies. */
const provenMs = 10_000;

/** One child process that is started, probed, and started again when it dies. */
export class Container {
  readonly options: ContainerOptions;
  ready = false;
  restarts = 0;
  isBackingOff = false;
  process: ProcessIdentity | null = null;
  #child: ChildProcess | null = null;
  #stopping = false;
  #hasBeenReady = false;
  #failures = 0;
  #readySinceMs = 0;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #serving = Promise.withResolvers<void>();

  constructor(options: ContainerOptions) {
    this.options = options;
  }

  /** Whether it died more than once and was never ready. */
  get cannotStart(): boolean {
    return !this.#hasBeenReady && this.restarts > 1;
  }

  /** Resolves when it has told for the first time that it answers on sockets of ours. */
  get serving(): Promise<void> {
    return this.#serving.promise;
  }

  start(): void {
    const { logPath, workingFolder, env, args, sockets } = this.options;
    const listens = sockets.length > 0 ? handDown(sockets.length, 'supervisor') : {};
    const log = openLog(logPath);
    // A session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which ends it in good order.
    const child = spawn(process.execPath, [...process.execArgv, mainModule, ...args], {
      cwd: workingFolder,
      env: { ...inheritedEnvironment(), ...env, ...listens, [parentPipeVariable]: '1' },
      stdio: ['pipe', log, log, ...sockets.map(({ fd }) => fd), ...(sockets.length > 0 ? (['ipc'] as const) : [])],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    this.#startedMs = performance.now();
    this.isBackingOff = false;
    this.process = child.pid === undefined ? null : identify(child.pid);
    child.stdin?.on('error', () => undefined);
    child.once('message', () => this.#serving.resolve());
    child.once('error', () => this.#ended());
    child.once('exit', () => this.#ended());
    this.options.onChange();
    this.#probeLater();
  }

  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null) return;
    const gone = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    child.kill('SIGTERM');
    await gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    this.#child?.kill('SIGKILL');
  }

  #ended(): void {
    if (this.#child === null) return;
    clearTimeout(this.#timer);
    this.#child.stdin?.destroy();
    this.#child = null;
    this.process = null;
    const provedItself = this.ready && performance.now() - this.#readySinceMs > provenMs;
    this.ready = false;
    if (!this.#stopping) {
      this.#failures = provedItself ? 1 : this.#failures + 1;
      this.restarts += 1;
      const delayMs = restartDelayMs(this.#failures);
      this.isBackingOff = delayMs > 0;
      this.#timer = setTimeout(() => this.start(), delayMs);
    }
    this.options.onChange();
  }

  #probeLater(): void {
    const isStarting = performance.now() - this.#startedMs < 5000;
    this.#timer = setTimeout(
      () => void this.#probe(this.#child),
      this.ready ? readyProbeMs : isStarting ? startProbeMs : patientProbeMs,
    );
  }

  async #probe(child: ChildProcess | null): Promise<void> {
    let answer = await isReady(this.options.probe, probeTimeoutMs);
    for (let failed = 1; this.ready && !answer && failed < toleratedFailures; failed++) {
      answer = await isReady(this.options.probe, probeTimeoutMs);
    }
    if (child === null || child !== this.#child || this.#stopping) return;
    if (answer !== this.ready) {
      this.ready = answer;
      this.#hasBeenReady ||= answer;
      this.#readySinceMs = performance.now();
      this.options.onChange();
    }
    this.#probeLater();
  }
}

/** None after the first death, then 0.5 s doubled up to 10 s. */
export function restartDelayMs(failures: number): number {
  return failures <= 1 ? 0 : Math.min(10_000, 500 * 2 ** (failures - 2));
}

const mainModule = join(import.meta.dirname, '..', 'cli', `main${extname(import.meta.filename)}`);

/** As in a pod, the caller's shell does not leak in: a switch that is set there must not change the scheduler. */
function inheritedEnvironment(): Record<string, string> {
  const kept = /^(PATH|HOME|TMPDIR|TZ|LANG|LC_.*|NODE_.*|XDG_.*|SSL_CERT_.*|OTEL_.*|SIGNALBOX_.*)$/;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && kept.test(entry[0]),
    ),
  );
}
