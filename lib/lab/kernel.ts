import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { buildOnce, cacheFolder, requireSpace } from './cache.js';
import { LabError } from './error.js';
import { uncompressKernel } from './kernel-image.js';
import { candidates, findOffer, type Offer, type Profile, profiles, updateLists } from './offer.js';
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
  requireSpace(dirname(temporary), offer.bytes + offer.installedBytes);
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
  await uncompressKernel(join(temporary, 'vmlinuz'), signal);
  mkdirSync(join(temporary, 'lib'));
  renameSync(found, join(temporary, 'lib/modules'));
  rmSync(tree, { recursive: true });
  for (const path of dropped)
    rmSync(join(temporary, 'lib/modules', release, 'kernel', path), { recursive: true, force: true });
  await runTool('depmod', ['-b', temporary, release], { signal });
  const { package: name, version, profile } = offer;
  writeFileSync(join(temporary, 'kernel.json'), `${JSON.stringify({ package: name, version, release, profile })}\n`);
}

/** When apt was last asked about a kernel in the cache is kept as the modification time of its `kernel.json`. */
const askedAt = (folder: string) => statSync(join(folder, 'kernel.json')).mtimeMs;

/** The kernel of a profile that an earlier run left in the cache, the one asked for last if there are several. */
function cached(folder: string, profile: Profile): Kernel | undefined {
  if (!existsSync(folder)) return undefined;
  const kept = readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name))
    .filter((path) => JSON.parse(readFileSync(join(path, 'kernel.json'), 'utf8')).profile === profile)
    .sort((a, b) => askedAt(b) - askedAt(a))[0];
  return kept === undefined ? undefined : open(kept);
}

/** apt takes a second to say what a package is today; without an update since, the answer is the one of last time. */
function isFresh(kernel: Kernel): boolean {
  const lists = statSync('/var/lib/apt/lists', { throwIfNoEntry: false });
  return lists !== undefined && lists.mtimeMs < askedAt(kernel.folder);
}

async function obtainOffered(folder: string, profile: Profile, options: ObtainOptions): Promise<Kernel> {
  const offer = await findOffer(profile, options.signal);
  const name = `${offer.package}_${offer.version.replaceAll(/[:/]/g, '_')}`;
  const path = await buildOnce(folder, name, (temporary) => unpack(offer, temporary, options));
  try {
    utimesSync(join(path, 'kernel.json'), new Date(), new Date());
  } catch {
    // A cache that can only be read is asked about every time.
  }
  return open(path);
}

/**
 * The kernel of a profile, from the cache or else downloaded and unpacked into it; nothing is installed.
 * @throws LabError `offer` not offered and not in the cache; `fetch` download or unpacking failed; `space` disk full; `tools`; `aborted`.
 */
export async function obtainKernel(profile: Profile, options: ObtainOptions = {}): Promise<Kernel> {
  const folder = join(cacheFolder(), 'kernels');
  const kept = cached(folder, profile);
  // A fixed list of packages that are alike: which one does not matter. A metapackage has to be asked what it means today.
  if (kept && ('packages' in candidates[profile] || isFresh(kept))) return kept;
  try {
    return await obtainOffered(folder, profile, options);
  } catch (error) {
    if (!(error instanceof ToolError || (error instanceof LabError && error.code === 'offer'))) throw error;
    if (kept) {
      options.progress?.(`${error.message}; using ${kept.package} ${kept.version} from the cache`);
      return kept;
    }
    return await obtainAfterUpdate(folder, profile, options, error);
  }
}

/** apt's lists may be empty or name a package that is gone from the mirror: root can have them renewed, others are told to. */
async function obtainAfterUpdate(
  folder: string,
  profile: Profile,
  options: ObtainOptions,
  cause: Error,
): Promise<Kernel> {
  try {
    if (process.getuid?.() !== 0) throw cause;
    options.progress?.('package lists are empty or out of date: apt-get update');
    await updateLists(options.signal);
    return await obtainOffered(folder, profile, options);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new LabError(
      'fetch',
      `test kernel '${profile}' could not be fetched: ${error.message}; type: apt-get update`,
    );
  }
}

/** A profile and the kernel it stands for; `reason` when there is none to be had. */
export interface KernelRow {
  profile: Profile;
  package?: string;
  version?: string;
  cached: boolean;
  reason?: string;
}

/** What each profile would boot now. Nothing is downloaded. @throws LabError `tools`. */
export async function listKernels(): Promise<KernelRow[]> {
  const folder = join(cacheFolder(), 'kernels');
  const rows: KernelRow[] = [];
  for (const profile of profiles) {
    const kept = cached(folder, profile);
    try {
      const fixed = kept && 'packages' in candidates[profile];
      const { package: name, version } = fixed ? kept : await findOffer(profile);
      rows.push({ profile, package: name, version, cached: kept?.package === name && kept.version === version });
    } catch (error) {
      if (!(error instanceof LabError && error.code === 'offer')) throw error;
      if (kept) rows.push({ profile, package: kept.package, version: kept.version, cached: true });
      else rows.push({ profile, cached: false, reason: error.message });
    }
  }
  return rows;
}
