import { messageOf } from '../base/errors.ts';

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once. */
export function untilSignalled(): Promise<void> {
  return new Promise((resolve) => {
    let signalled = false;
    const onSignal = (): void => {
      if (signalled) process.exit(1);
      signalled = true;
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** Resolves when another process has taken over, as SIGUSR2 asks for; where that fails, the next one may try again. */
export function untilFollowed(follows: { handOver(): Promise<void> }): Promise<void> {
  return new Promise((resolve) => {
    let isTrying = false;
    process.on('SIGUSR2', () => {
      if (isTrying) return;
      isTrying = true;
      follows.handOver().then(resolve, (error: unknown) => {
        isTrying = false;
        process.stderr.write(`${messageOf(error)} (this process goes on)\n`);
      });
    });
  });
}
