import { enableCompileCache } from 'node:module';

// As in `cli/main.ts`: what the first thread has compiled no other one has to.
enableCompileCache();
await import('./thread.ts');
