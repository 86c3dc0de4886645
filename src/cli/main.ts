import { enableCompileCache, flushCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';

// Everything else is imported after this line, so that it is compiled once and not at every start.
enableCompileCache();
// Node keeps what it compiled when a process ends, but those that serve are often killed.
setTimeout(flushCompileCache, 2000).unref();
// Where few requests come, V8 would go through the whole heap every few seconds for memory that the next ones want again.
setFlagsFromString('--no-memory-reducer');
const { run } = await import('./program.ts');
await run(process.argv.slice(2));
