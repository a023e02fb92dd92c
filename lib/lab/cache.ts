import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LabError } from './error.js';

/** Where kernels are kept between runs: `$DMALG_CACHE`, else `$XDG_CACHE_HOME/dmalg`, else `~/.cache/dmalg`. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.DMALG_CACHE) return env.DMALG_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dmalg');
}

const REMEDY = 'free some space there, or set DMALG_CACHE to a folder with room';

/** Turns "no space left" into a line with the remedy, and passes on anything else. */
export function spaceError(error: unknown, folder: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left|enough free space|quota exceeded/i.test(message ?? ''))
    return new LabError('space', `${folder}: disk full while building the lab; ${REMEDY}`);
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return new LabError('space', `${folder}: cannot write (${code}); set DMALG_CACHE to a folder you may write to`);
  return error;
}

/** @throws LabError `space` when the file system of `folder` has fewer than `bytes` free. */
export function requireSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const mebibytes = (n: number) => `${Math.floor(n / 2 ** 20)} MiB`;
  if (bavail * bsize < bytes)
    throw new LabError(
      'space',
      `${folder}: disk full: ${mebibytes(bavail * bsize)} free, the lab's kernel needs ${mebibytes(bytes)}; ${REMEDY}`,
    );
}

/** Process ids mean something only inside their pid namespace, and a cache may be shared between containers. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '0';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const DAY = 86_400_000;

/** Removes what killed runs left in `folder`: `.tmp-NAMESPACE-PID-N` of a process that is gone, or of elsewhere and a day old. */
function removeStale(folder: string): void {
  for (const name of readdirSync(folder)) {
    const match = /^\.tmp-(\d+)-(\d+)-/.exec(name);
    if (!match) continue;
    const path = join(folder, name);
    const stale =
      match[1] === pidNamespace()
        ? !isAlive(Number(match[2]))
        : (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < Date.now() - DAY;
    if (stale) rmSync(path, { recursive: true, force: true });
  }
}

let serial = 0;

/**
 * Builds `folder/name` (a file or folder) so that it is there whole or not at all, also with several processes at it:
 * `build` fills a temporary path beside it, and the first to rename wins.
 * @returns the path of the finished thing.
 * @throws LabError `space`, or whatever `build` threw; nothing is left behind.
 */
export async function buildOnce(
  folder: string,
  name: string,
  build: (temporary: string) => Promise<void>,
): Promise<string> {
  const path = join(folder, name);
  if (statSync(path, { throwIfNoEntry: false })) return path;
  let temporary: string | undefined;
  try {
    mkdirSync(folder, { recursive: true });
    removeStale(folder);
    temporary = join(folder, `.tmp-${pidNamespace()}-${process.pid}-${serial++}`);
    await build(temporary);
    try {
      renameSync(temporary, path);
    } catch (error) {
      // Another run was first: what it built is as good.
      if (!statSync(path, { throwIfNoEntry: false })) throw error;
    }
    return path;
  } catch (error) {
    throw spaceError(error, folder);
  } finally {
    if (temporary) rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  }
}
