import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

export const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;

/** A folder for one test, removed after it. */
export function inFolder(test: (folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-cli-'));
    try {
      await test(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

export interface Outcome {
  status: number | null;
  stdout: Buffer;
  stderr: string;
}

/** Runs `dmalg` with these arguments in a folder. */
export function dmalg(folder: string, args: string[], input: string | Uint8Array = ''): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    input,
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr: stderr.toString() };
}

/** Runs `dmalg verity`, which prints text. */
export function verity(folder: string, args: string[]) {
  const { status, stdout, stderr } = dmalg(folder, ['verity', ...args]);
  return { status, stdout: stdout.toString(), stderr };
}

/** Starts `dmalg`, with its stdin and stdout as pipes. */
export function startDmalg(folder: string, args: string[]) {
  return spawn(process.execPath, [program, ...args], { cwd: folder });
}

/** Waits until a process has a file open in a folder that has no name yet. */
export async function untilOpened(child: ChildProcess, folder: string): Promise<void> {
  const place = `${realpathSync(folder)}/#`;
  const links = (): string[] => {
    try {
      return readdirSync(`/proc/${child.pid}/fd`).map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`));
    } catch {
      return []; // a descriptor was closed meanwhile
    }
  };
  while (!links().some((link) => link.startsWith(place))) {
    if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
    await nextTurn();
  }
}
