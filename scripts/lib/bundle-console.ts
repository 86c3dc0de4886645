import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup, type Plugin } from '@rollup/wasm-node';
import ts from 'typescript';
import { themeCss } from '../../src/charts/theme.ts';
import { filesBelow, readSource, root } from './source-files.ts';

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  jsx: ts.JsxEmit.ReactJSX,
  jsxImportSource: 'preact',
  verbatimModuleSyntax: true,
};

/** Where browsers want another file of a package than Node. */
const forBrowsers = new Map([['uplot', 'uplot/dist/uPlot.esm.js']]);
const packages = ['preact', 'uplot'];

const sources: Plugin = {
  name: 'sources',
  resolveId(id, importer) {
    if (importer === undefined || id.startsWith('.')) return null;
    return fileURLToPath(import.meta.resolve(forBrowsers.get(id) ?? id));
  },
  load(id) {
    if (!['.ts', '.tsx'].includes(extname(id))) return null;
    return ts.transpileModule(readFileSync(id, 'utf8'), { compilerOptions, fileName: id }).outputText;
  },
};

/** The console's script and style sheet. TypeScript takes types and JSX out, Rollup makes one file of the modules. */
export async function bundleConsole(): Promise<{ script: string; style: string }> {
  const bundle = await rollup({
    input: join(root, 'src/console/main.tsx'),
    plugins: [sources],
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.generate({ format: 'es' });
  const licences = packages.map((name) => {
    const manifest: unknown = JSON.parse(readSource(`node_modules/${name}/package.json`));
    const { version, license } = manifest as { version: string; license: string };
    return `${name} ${version} (${license})`;
  });
  const uplot = readSource('node_modules/uplot/dist/uPlot.min.css');
  const style = [uplot, themeCss, ...filesBelow('src/console', ['.css']).map(readSource)].join('\n');
  return { script: `/* With ${licences.join(', ')}. */\n${output[0].code}`, style };
}
