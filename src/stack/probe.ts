import { request } from 'node:http';

/** What a container is asked to find out whether it is ready. */
export interface Probe {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Whether this status means ready. */
  readonly accepts: (status: number) => boolean;
}

/** The probe's answer. A connection refused, an error or silence past `timeoutMs` is a no. */
export function isReady(probe: Probe, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const { host, port, path } = probe;
    const asked = request({ host, port, path, agent: false, timeout: timeoutMs }, (answer) => {
      answer.resume();
      answer.on('error', () => undefined);
      resolve(probe.accepts(answer.statusCode ?? 0));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.on('close', () => resolve(false));
    asked.end();
  });
}
