import { spawn } from 'node:child_process';
import { LabError } from './error.js';
import { findTool, type Tool } from './tools.js';

export interface ToolOptions {
  cwd?: string;
  signal?: AbortSignal | undefined;
  /** Its stdin; default: nothing. */
  input?: Buffer;
}

/** A program of the host failed; `message` is what it said. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** The command line that makes a program die with this process, however that ends. */
export function mortal(path: string, args: string[]): [string, string[]] {
  return [findTool('setpriv'), ['--pdeathsig', 'KILL', path, ...args]];
}

/**
 * Runs a program of the host to its end.
 * @returns its stdout, as bytes.
 * @throws ToolError with the program's own words; LabError `tools` or `aborted`, once the program and its children are gone.
 */
export async function runTool(tool: Tool, args: string[], options: ToolOptions = {}): Promise<Buffer> {
  const { cwd, signal, input } = options;
  const interrupted = () => new LabError('aborted', 'the lab was interrupted');
  if (signal?.aborted) throw interrupted();
  // Messages are looked into: they must be in English.
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  // Its own process group, so that its children (dpkg-deb has tar) can be stopped with it.
  const child = spawn(...mortal(findTool(tool), args), { cwd, env, detached: true });
  const kill = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  signal?.addEventListener('abort', kill, { once: true });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that ends early closes its stdin; its exit status tells.
  child.stdin.on('error', () => undefined).end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(new ToolError(`${tool}: ${error.message}`)));
    child.on('close', resolve);
  }).finally(() => signal?.removeEventListener('abort', kill));
  if (signal?.aborted) throw interrupted();
  if (status === 0) return Buffer.concat(stdout);
  const words = `${Buffer.concat(stderr)}`.split('\n').filter((line) => line.trim() && !line.startsWith('W:'));
  throw new ToolError(`${tool}: ${words.join('; ') || `exit status ${status}`}`);
}
