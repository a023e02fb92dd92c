import { execFile } from 'node:child_process';
import { LabError } from './error.js';
import { findTool, type Tool } from './tools.js';

export interface ToolOptions {
  cwd?: string;
  signal?: AbortSignal | undefined;
  /** Its stdin; default: nothing. */
  input?: Buffer;
}

/** A program of the host failed; `message` is the last thing it said. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/**
 * Runs a program of the host to its end.
 * @returns its stdout, as bytes.
 * @throws ToolError with the program's own words; LabError `tools` or `aborted`.
 */
export function runTool(tool: Tool, args: string[], options: ToolOptions = {}): Promise<Buffer> {
  const path = findTool(tool);
  // Messages are looked into: they must be in English.
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  return new Promise((resolve, reject) => {
    const { input, ...rest } = options;
    const settings = { ...rest, env, encoding: 'buffer' as const, maxBuffer: 2 ** 30 };
    const child = execFile(path, args, settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (options.signal?.aborted) return reject(new LabError('aborted', 'the lab was interrupted'));
      const words = `${stderr}`.split('\n').filter((line) => line.trim() && !line.startsWith('W:'));
      reject(new ToolError(`${tool}: ${words.join('; ') || error.message}`));
    });
    // A program that ends early closes its stdin; its exit status tells.
    child.stdin?.on('error', () => undefined).end(input);
  });
}
