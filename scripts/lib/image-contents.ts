/** What of the repository is in the image, below /app; the packages that run come on top. */
export const imageContents = ['package.json', 'dist', 'assets', 'examples', 'LICENSE', 'NOTICE'];

/** /usr/local/bin/signalbox. */
export const launcher =
  '#!/usr/local/bin/node --disable-warning=ExperimentalWarning\nimport("/app/dist/cli/main.js");\n';
