import { LabError } from './error.js';
import { runTool, ToolError } from './run-tool.js';

/** The test kernels: `aio` still does skcipher AIO, `current` is Debian's kernel of today, `next` a later one. */
export const profiles = ['aio', 'current', 'next'] as const;
export type Profile = (typeof profiles)[number];

/** What a profile is looked for as: the first package offered, or the one that a metapackage depends on. */
export const candidates: Record<Profile, { packages: string[] } | { meta: string }> = {
  // Measured to be alike; 6.1.180 took asynchronous skcipher requests away.
  aio: { packages: [50, 51, 49, 48, 47].map((abi) => `linux-image-6.1.0-${abi}-amd64`) },
  current: { meta: 'linux-image-amd64' },
  next: { meta: 'linux-image-6.12-amd64' },
};

/** A kernel package that apt can download. */
export interface Offer {
  profile: Profile;
  package: string;
  version: string;
  /** Size of the download, bytes. */
  bytes: number;
  /** Size unpacked, bytes. */
  installedBytes: number;
}

interface Stanza {
  get(field: string): string | undefined;
}

/** The newest version's description of each package, by name; packages that are not offered are absent. */
async function describe(names: string[], signal?: AbortSignal): Promise<Map<string, Stanza>> {
  let text = '';
  try {
    text = `${await runTool('apt-cache', ['show', '--no-all-versions', ...names], { signal })}`;
  } catch (error) {
    // apt-cache fails when it knows none of the names: that is an answer, the caller's to word.
    if (!(error instanceof ToolError)) throw error;
  }
  const result = new Map<string, Stanza>();
  for (const paragraph of text.split(/\n\n+/)) {
    const fields = new Map([...paragraph.matchAll(/^([\w-]+): (.*)$/gm)].map((match) => [match[1], match[2]]));
    const name = fields.get('Package');
    if (name) result.set(name, fields);
  }
  return result;
}

function notOffered(profile: Profile, names: string): LabError {
  return new LabError(
    'offer',
    `test kernel '${profile}' is not to be had: ${names} not offered by this host's package sources; type: apt-get update (and see 'dmalg lab --list')`,
  );
}

/**
 * Finds the package of a profile among what apt knows; nothing is downloaded.
 * @throws LabError `offer` when no candidate is offered.
 */
export async function findOffer(profile: Profile, signal?: AbortSignal): Promise<Offer> {
  const candidate = candidates[profile];
  let names: string[];
  if ('meta' in candidate) {
    const meta = (await describe([candidate.meta], signal)).get(candidate.meta);
    const image = /linux-image-[\w.+~-]+/.exec(meta?.get('Depends') ?? '')?.[0];
    if (!image) throw notOffered(profile, candidate.meta);
    names = [image];
  } else names = candidate.packages;
  const offered = await describe(names, signal);
  for (const name of names) {
    const stanza = offered.get(name);
    const version = stanza?.get('Version');
    if (!stanza || !version) continue;
    const bytes = Number(stanza.get('Size') ?? 0);
    return { profile, package: name, version, bytes, installedBytes: Number(stanza.get('Installed-Size') ?? 0) * 1024 };
  }
  throw notOffered(profile, names.join(', '));
}

/** Brings apt's lists up to date; only root can. */
export async function updateLists(signal?: AbortSignal): Promise<void> {
  await runTool('apt-get', ['update', '-q', '-o', 'Acquire::http::Timeout=60'], { signal });
}
