import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOnce, cacheFolder, requireSpace } from './cache.js';
import { LabError } from './error.js';
import { candidates, findOffer, type Offer, type Profile, updateLists } from './offer.js';
import { runTool, ToolError } from './run-tool.js';

/** A kernel in the cache, ready to boot. */
export interface Kernel {
  package: string;
  version: string;
  /** What `uname -r` says under it. */
  release: string;
  /** Its folder in the cache. */
  folder: string;
  /** The kernel image. */
  image: string;
  /** Folder with `modules.dep` and the modules. */
  modules: string;
}

export interface ObtainOptions {
  /** Told what takes long, a line at a time. */
  progress?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/** Big and never of use in the lab; paths below `kernel/`. */
const dropped = [
  'sound',
  'drivers/gpu',
  'drivers/media',
  'drivers/infiniband',
  'drivers/iio',
  'drivers/net/wireless',
  'drivers/net/ethernet',
];

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

function open(folder: string): Kernel {
  const { package: name, version, release } = JSON.parse(readFileSync(join(folder, 'kernel.json'), 'utf8'));
  const modules = join(folder, 'lib/modules', release);
  return { package: name, version, release, folder, image: join(folder, 'vmlinuz'), modules };
}

/** Downloads and unpacks a package into `temporary`, keeping the image and the modules. */
async function unpack(offer: Offer, temporary: string, { progress, signal }: ObtainOptions): Promise<void> {
  mkdirSync(temporary);
  requireSpace(temporary, offer.bytes + offer.installedBytes);
  progress?.(`fetching ${offer.package} ${offer.version}, ${megabytes(offer.bytes)}`);
  // apt's unprivileged user may not write here, and need not: the package is only read.
  const fetch = ['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::http::Timeout=60', '-o', 'Acquire::Retries=1'];
  await runTool('apt-get', [...fetch, '-q', 'download', `${offer.package}=${offer.version}`], {
    cwd: temporary,
    signal,
  });
  const file = readdirSync(temporary).find((name) => name.endsWith('.deb'));
  if (!file) throw new ToolError(`apt-get: no package file after downloading ${offer.package}`);
  progress?.(`unpacking ${offer.package}, ${megabytes(offer.installedBytes)}`);
  const tree = join(temporary, 'tree');
  await runTool('dpkg-deb', ['-x', join(temporary, file), tree], { signal });
  rmSync(join(temporary, file));

  const found = ['lib/modules', 'usr/lib/modules'].map((path) => join(tree, path)).find((path) => existsSync(path));
  const release = found && readdirSync(found)[0];
  if (!release) throw new ToolError(`${offer.package}: no lib/modules in the package`);
  renameSync(join(tree, 'boot', `vmlinuz-${release}`), join(temporary, 'vmlinuz'));
  mkdirSync(join(temporary, 'lib'));
  renameSync(found, join(temporary, 'lib/modules'));
  rmSync(tree, { recursive: true });
  for (const path of dropped)
    rmSync(join(temporary, 'lib/modules', release, 'kernel', path), { recursive: true, force: true });
  await runTool('depmod', ['-b', temporary, release], { signal });
  const { package: name, version, profile } = offer;
  writeFileSync(join(temporary, 'kernel.json'), `${JSON.stringify({ package: name, version, release, profile })}\n`);
}

/** The kernel of a profile that an earlier run left in the cache, the newest if there are several. */
function cached(folder: string, profile: Profile): Kernel | undefined {
  if (!existsSync(folder)) return undefined;
  const ours = readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name))
    .filter((path) => JSON.parse(readFileSync(join(path, 'kernel.json'), 'utf8')).profile === profile)
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return ours[0] === undefined ? undefined : open(ours[0]);
}

/**
 * The kernel of a profile, from the cache or else downloaded and unpacked into it; nothing is installed.
 * @throws LabError `offer` not offered and not in the cache; `fetch` download or unpacking failed; `space` disk full; `tools`; `aborted`.
 */
export async function obtainKernel(profile: Profile, options: ObtainOptions = {}): Promise<Kernel> {
  const folder = join(cacheFolder(), 'kernels');
  const kept = cached(folder, profile);
  // A fixed list of packages that are alike: which one does not matter. A metapackage has to be asked what it means today.
  if (kept && 'packages' in candidates[profile]) return kept;
  const attempt = async () => {
    const offer = await findOffer(profile, options.signal);
    const name = `${offer.package}_${offer.version.replaceAll(/[:/]/g, '_')}`;
    return open(await buildOnce(folder, name, (temporary) => unpack(offer, temporary, options)));
  };
  try {
    return await attempt();
  } catch (error) {
    const outdated = error instanceof ToolError || (error instanceof LabError && error.code === 'offer');
    if (!outdated) throw error;
    if (kept) {
      options.progress?.(`${error.message}; using ${kept.package} ${kept.version} from the cache`);
      return kept;
    }
    try {
      if (process.getuid?.() !== 0) throw error;
      options.progress?.('package lists are empty or out of date: apt-get update');
      await updateLists(options.signal);
      return await attempt();
    } catch (last) {
      if (!(last instanceof ToolError)) throw last;
      throw new LabError(
        'fetch',
        `test kernel '${profile}' could not be fetched: ${last.message}; type: apt-get update`,
      );
    }
  }
}
