import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labUnavailable } from '../../lib/lab/tools.js';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;

/** Skips, with the reason on stderr, where the lab cannot run. */
export function needLab(this: Mocha.Context): void {
  const reason = labUnavailable();
  if (reason === undefined) return;
  process.stderr.write(`${reason}\n`);
  this.skip();
}

/** A temporary folder for one test. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dmalg-lab-test-')));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface LabOutcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface LabRun {
  process: ChildProcess;
  /** The first bytes on stdout have come. */
  started: Promise<void>;
  ended: Promise<LabOutcome>;
}

/** Starts `dmalg lab` with its stdin an open pipe that nobody writes to, as CI systems have it. */
export function startLab(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): LabRun {
  const child = spawn(process.execPath, [program, 'lab', ...args], options);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const ended = once(child, 'close').then(([status]) => ({ status, ...text }));
  const started = Promise.race([
    once(child.stdout, 'data').then(() => undefined),
    ended.then(({ stderr }) => {
      throw new Error(`the lab ended before its command wrote anything: ${stderr}`);
    }),
  ]);
  started.catch(() => undefined);
  return { process: child, started, ended };
}

export function lab(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<LabOutcome> {
  return startLab(args, options).ended;
}

/** State and parent of a process, from /proc; undefined when it is gone or waits to be reaped. */
function parentOf(pid: string): number | undefined {
  try {
    // The name, in brackets, may hold anything.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' || state === 'X' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

export function isRunning(pid: number): boolean {
  return parentOf(`${pid}`) !== undefined;
}

/** The living children of a process. */
export function childrenOf(pid: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((child) => parentOf(child) === pid).map(Number);
}
