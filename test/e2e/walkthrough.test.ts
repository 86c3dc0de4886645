import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, repository, runCommand, temporaryFolder } from '../support/command.ts';

interface Block {
  line: number;
  commands: string;
  shows: RegExp[];
}

/** The page's bash blocks, each with what it must print (the `shows:` comments below it). */
function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(/```bash\n([\s\S]*?)```\n((?:<!-- shows: .*? -->\n)*)/g)) {
    blocks.push({
      line: markdown.slice(0, match.index).split('\n').length,
      commands: match[1]!,
      shows: [...match[2]!.matchAll(/<!-- shows: (.*?) -->/g)].map(([, pattern]) => new RegExp(pattern!)),
    });
  }
  return blocks;
}

for (const shell of ['bash', 'zsh']) {
  test(`every command of docs/walkthrough.md works in ${shell} and shows what the page says`, async (t) => {
    if ((await runCommand('sh', ['-c', `command -v ${shell}`])).status !== 0) {
      t.skip(`${shell} is not installed here (apt-get install ${shell})`);
      return;
    }
    const blocks = blocksOf(readFileSync(join(repository, 'docs/walkthrough.md'), 'utf8'));
    const [port, adminPort] = [await freePort(), await freePort()];
    const script = blocks
      .map(({ commands }, index) => `${commands}\necho "=== end of block ${index}"`)
      .join('\n')
      .replaceAll('./signalbox up', `./signalbox up --port ${port} --admin-port ${adminPort}`)
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
      .replaceAll('sleep 3', 'sleep 15') // the machine may be a slow one
      .replaceAll('load.html', join(temporaryFolder(t), 'load.html'));
    const home = temporaryFolder(t, () => runCommand('./signalbox', ['down'], { env: { SIGNALBOX_HOME: home } }));
    const env = { SIGNALBOX_HOME: home };

    const result = await runCommand(shell, shell === 'zsh' ? ['-f'] : ['--norc'], { env, input: script });
    let rest = result.stdout;
    blocks.forEach(({ line, shows }, index) => {
      const [output = '', ...after] = rest.split(`=== end of block ${index}\n`);
      assert.equal(after.length, 1, `line ${line}: did not end.\n${output}\n${result.stderr}`);
      rest = after[0]!;
      for (const pattern of shows) {
        assert.match(output, pattern, `docs/walkthrough.md:${line} does not show ${pattern.source}\n${result.stderr}`);
      }
    });
  });
}
