import { nodeFlags } from './node-flags.ts';

/** What of the repository is in the image, below /app; the packages that run come on top. */
export const imageContents = ['package.json', 'dist', 'assets', 'examples', 'LICENSE', 'NOTICE'];

/** /usr/local/bin/signalbox. */
export const launcher = `#!/usr/local/bin/node ${nodeFlags[0]!}\nimport("/app/dist/cli/main.js");\n`;

/** A line that names an interpreter has room for one flag: the others come this way. */
export const imageEnvironment = { HOME: '/tmp', NODE_OPTIONS: nodeFlags.slice(1).join(' ') };
