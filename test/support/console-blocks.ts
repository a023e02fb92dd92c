import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { binding } from '../../lib/base/binding.js';
import { needPrograms } from './need-programs.js';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;

/** What is typed after `$ `, and after `> ` where that goes on; and what comes out, both streams. */
interface Step {
  command: string;
  output: string;
}

/**
 * A fenced block of a document whose language is `console`. The words behind that are what it needs: `lab`, `af_alg`, names of programs.
 * In an output `...` stands for anything: within a line, or as a line for any lines; white space at the ends of lines is not looked at.
 * A command that fails is followed by `$ echo $?`.
 */
export interface ConsoleBlock {
  /** Of its first command, and that command. */
  title: string;
  /** The heading of level 2 that it stands under. */
  section: string;
  needs: string[];
  steps: Step[];
}

const packages: Record<string, string> = {
  'mkfs.ext4': 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  'nbd-client': 'nbd-client',
  nbdcopy: 'libnbd-bin',
  openssl: 'openssl',
  'qemu-img': 'qemu-utils',
};

export function consoleBlocks(markdown: string): ConsoleBlock[] {
  const blocks: ConsoleBlock[] = [];
  let section = '';
  let open: ConsoleBlock | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, needs] = /^```console ?(.*)$/.exec(line) ?? [];
    if (needs !== undefined) open = { title: '', section, needs: needs.split(' ').filter(Boolean), steps: [] };
    else if (open && line === '```') {
      blocks.push(open);
      open = undefined;
    } else if (!open) section = /^## (.*)$/.exec(line)?.[1] ?? section;
    else {
      const step = open.steps.at(-1);
      if (line.startsWith('$ ')) {
        open.title ||= `line ${index + 1}: ${line}`;
        open.steps.push({ command: line.slice(2), output: '' });
      } else if (line.startsWith('> ') && step?.output === '') step.command += `\n${line.slice(2)}`;
      else if (step) step.output += `${line}\n`;
      else throw new Error(`line ${index + 1}: an output without a command`);
    }
  }
  return blocks;
}

/** A test for each block, in one empty folder and in this order: each prints what it is shown to print. */
export function testBlocks(blocks: readonly ConsoleBlock[]): void {
  let folder = '';
  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'dmalg-console-')));
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'empty'));
    writeFileSync(join(folder, 'bin/dmalg'), `#!/bin/sh\nexec node '${program}' "$@"\n`, { mode: 0o755 });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const { title, needs, steps } of blocks)
    it(title, function () {
      if (needs.includes('af_alg') && binding().af_alg_probe() < 0) {
        this.test!.title += ' (this kernel has no AF_ALG)';
        this.skip();
      }
      const programs = needs.filter((name) => name !== 'af_alg' && name !== 'lab');
      needPrograms(this, Object.fromEntries(programs.map((name) => [name, packages[name]!])));
      expect(render(outcome(steps, folder))).to.equal(render(steps));
    });
}

const render = (steps: readonly Step[]) => steps.map(({ command, output }) => `$ ${command}\n${output}`).join('');

/** The same steps with what they print; where that is what is shown, as it is shown. */
function outcome(steps: readonly Step[], folder: string): Step[] {
  const script = [
    'exec 2>&1',
    // Tells the status of the command before it, and leaves it as it was.
    "mark() { local status=$?; printf '@@%d@@\\n' $status; return $status; }",
    "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT",
    'mark',
    ...steps.map(({ command }) => `${command}\nmark`),
  ];
  writeFileSync(join(folder, 'script'), script.join('\n'));
  const path = `${join(folder, 'bin')}:${process.env['PATH']}:/usr/sbin:/sbin`;
  const { stdout } = spawnSync('bash', [join(folder, 'script')], {
    cwd: join(folder, 'empty'),
    env: { ...process.env, PATH: path, LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  // '', 0, the first output, its status, the second output, ...
  const printed = stdout.split(/@@(\d+)@@\n/).slice(2);
  return steps.map(({ command, output: shown }, index) => {
    const [raw = '', status] = printed.slice(index * 2, index * 2 + 2);
    const got = raw.replace(/[ \t]+$/gm, '');
    const isTold = status === '0' || steps[index + 1]?.command === 'echo $?';
    return { command, output: `${matches(shown, got) ? shown : got}${isTold ? '' : `[status ${status}]\n`}` };
  });
}

function matches(shown: string, got: string): boolean {
  const pattern = shown
    .split('\n')
    .map((line) =>
      line === '...' ? '[^]*' : line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\.\\.\\.', '.*'),
    );
  return new RegExp(`^${pattern.join('\n')}$`).test(got);
}
