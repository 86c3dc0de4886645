import { watch, type FSWatcher } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { messageOf, SignalboxError } from '../../base/errors.ts';
import { parseYaml } from '../../base/yaml.ts';
import { endpointsFileSchema, type EndpointsFile } from '../../scheduler/endpoints-file.ts';
import type { Logger } from '../../base/log.ts';
import type { Discovery } from './discovery.ts';

const pollMs = 1000;

export interface FileWatch {
  close(): void;
}

/** The endpoints that a file lists, read again when it changes; what does not validate changes nothing. */
export function discoverFromFile(path: string, log: Logger): Discovery {
  let file: FileWatch | null = null;
  let tell: Parameters<Discovery['start']>[0] = () => undefined;
  const reload = async (): Promise<void> => tell((await readEndpointsFile(path)).endpoints);
  return {
    start(found) {
      tell = found;
      const read = (): void => {
        reload().catch((error: unknown) => log.error(`${messageOf(error)} (what was there before stays)`));
      };
      read();
      file = watchFile(path, read);
    },
    reload,
    close: () => file?.close(),
  };
}

/** Reads an endpoints file (JSON or YAML). @throws SignalboxError that names file and place. */
async function readEndpointsFile(path: string): Promise<EndpointsFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new SignalboxError('config_invalid', `${path}: cannot be read: ${messageOf(error)}`, { param: path });
  }
  return parseYaml(text, path, endpointsFileSchema);
}

/**
 * Calls `changed` when the file at `path` may have changed. Watches the folder, since the file is replaced by renaming;
 * looks at the file itself now and then too, since not every file system tells.
 */
export function watchFile(path: string, changed: () => void): FileWatch {
  let seen = '';
  const look = (): void => {
    void stat(path).then(
      ({ mtimeMs, size, ino }) => {
        const now = `${mtimeMs} ${size} ${ino}`;
        if (now === seen) return;
        const first = seen === '';
        seen = now;
        if (!first) changed();
      },
      () => undefined,
    );
  };
  look();
  const poll = setInterval(look, pollMs);
  poll.unref();
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(path)) look();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // The poll alone will do.
  }
  return {
    close() {
      clearInterval(poll);
      watcher?.close();
    },
  };
}
