import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const revisionKey = 'signalbox-revision';
const ours = (name: string): string => import.meta.url.replace(/module-hooks(?=\.[jt]s$)/, name);
const apis: ReadonlyMap<string, string> = new Map([
  ['signalbox/plugin', ours('plugin-api')],
  ['signalbox/plugin-test', ours('test-kit')],
]);
/** Files that each load took in, its own and those they import. */
const filesByRevision = new Map<string, Set<string>>();
let registered = false;

/**
 * Node keeps a module for ever. Under another revision it is another module, and so is everything of the user's that it
 * imports; packages and our own API stay one.
 */
function register(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve(specifier, context, next) {
      const revision =
        context.parentURL === undefined ? null : new URL(context.parentURL).searchParams.get(revisionKey);
      if (revision === null) return next(specifier, context);
      const api = apis.get(specifier);
      if (api !== undefined) return { url: api, shortCircuit: true };
      if (specifier === 'zod') return next(specifier, { ...context, parentURL: import.meta.url });
      const found = next(specifier, context);
      const url = new URL(found.url);
      if (url.protocol !== 'file:' || url.pathname.includes('/node_modules/')) return found;
      url.searchParams.set(revisionKey, revision);
      filesByRevision.get(revision)?.add(fileURLToPath(new URL(url.pathname, 'file:')));
      return { ...found, url: url.href };
    },
  });
}

/** Imports the file and what it imports anew. `files` gets the path of each as soon as it is known, even on failure. */
export async function importAnew(fileUrl: URL, revision: string, files: Set<string>): Promise<unknown> {
  register();
  filesByRevision.set(revision, files.add(fileURLToPath(fileUrl)));
  const url = new URL(fileUrl);
  url.searchParams.set(revisionKey, revision);
  try {
    return await import(url.href);
  } finally {
    filesByRevision.delete(revision);
  }
}
