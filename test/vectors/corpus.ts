import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce, cacheFolder } from '../../lib/lab/cache.js';
import { updateLists } from '../../lib/lab/offer.js';

const packageName = 'python3-cryptography-vectors';
const inPackage = 'usr/lib/python3/dist-packages/cryptography_vectors';

/**
 * The folder of NIST's and others' vectors, as Debian packs them for python3-cryptography: the installed package, else one
 * kept in the cache, else downloaded into the cache now. Or why there is none.
 */
export async function findCorpus(): Promise<{ folder: string } | { reason: string }> {
  const installed = `/${inPackage}`;
  if (existsSync(installed)) return { folder: installed };
  try {
    const cached = await buildOnce(cacheFolder(), packageName, download);
    return { folder: join(cached, inPackage) };
  } catch (error) {
    return { reason: `${packageName} is not installed and could not be downloaded: ${(error as Error).message}` };
  }
}

async function download(folder: string): Promise<void> {
  mkdirSync(folder);
  const fetch = () => run(folder, 'apt-get', ['download', packageName]);
  try {
    fetch();
  } catch (error) {
    // A new machine's package lists are empty, an old one's out of date; only root can do something about it.
    if (process.getuid?.() !== 0) throw error;
    await updateLists();
    fetch();
  }
  for (const archive of readdirSync(folder)) {
    run(folder, 'dpkg-deb', ['-x', archive, '.']);
    rmSync(join(folder, archive));
  }
}

function run(cwd: string, program: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}
