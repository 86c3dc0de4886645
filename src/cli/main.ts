import { enableCompileCache } from 'node:module';

// Everything else is imported after this line, so that it is compiled once and not at every start.
enableCompileCache();
const { run } = await import('./program.ts');
await run(process.argv.slice(2));
