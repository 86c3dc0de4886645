import { enableCompileCache, flushCompileCache } from 'node:module';

// Everything else is imported after this line, so that it is compiled once and not at every start.
enableCompileCache();
// Node keeps what it compiled when a process ends, but those that serve are often killed.
setTimeout(flushCompileCache, 2000).unref();
const { run } = await import('./program.ts');
await run(process.argv.slice(2));
