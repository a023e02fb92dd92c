/**
 * `node dist/npm/pack.js [FOLDER]` makes the npm packages in FOLDER (dist/packages) and prints their sizes: dmalg, and for each platform whose addon
 * has been built a package with that; here, and by `make cross`. Names and fields are those of napi-rs: NAME-PLATFORM-ARCH-LIBC; os, cpu, libc.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Platform {
  /** As process.arch has it. */
  cpu: string;
  triplet: string;
}

const platforms: Platform[] = [
  { cpu: 'x64', triplet: 'x86_64-linux-gnu' },
  { cpu: 'arm64', triplet: 'aarch64-linux-gnu' },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest = readJson('package.json');
const { name, version } = manifest;
const nameFor = ({ cpu }: Platform) => `${name}-linux-${cpu}-gnu`;
const isHere = ({ cpu }: Platform) => cpu === process.arch;
const crossFolder = ({ cpu }: Platform) => join(root, `build-${cpu}`);
const addonFor = (platform: Platform) =>
  join(isHere(platform) ? root : crossFolder(platform), 'build/Release/dmalg.node');

function readJson(path: string) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

function writeManifest(folder: string, fields: object): void {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(fields, undefined, 2)}\n`);
}

/** The oldest glibc that has every symbol which a file wants. */
function glibcOf(file: string): string {
  const wanted = readFileSync(file, 'latin1').match(/GLIBC_\d+\.\d+/g) ?? [];
  const minors = wanted.map((symbol) => Number(symbol.split('.')[1]));
  return `2.${Math.max(...minors)}`;
}

/** @returns what it needs, and what it brings, in a line. */
function stagePlatform(platform: Platform, folder: string): string {
  const addon = join(folder, 'dmalg.node');
  execFileSync(`${platform.triplet}-strip`, ['--strip-unneeded', '-o', addon, addonFor(platform)]);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const versionOf = (name: string) => readJson(`node_modules/${name}/package.json`).version;
  const licences = [
    `dmalg.node contains node-addon-api ${versionOf('node-addon-api')}. Its licence:`,
    '',
    readFileSync(join(root, 'node_modules/node-addon-api/LICENSE.md'), 'utf8'),
    `dmalg.node contains the reference code of Argon2, as in the npm package argon2 ${versionOf('argon2')}. Its licence:`,
    '',
    readFileSync(join(root, 'node_modules/argon2/argon2/LICENSE'), 'utf8'),
    'dmalg.node contains parts of libstdc++, as the GCC Runtime Library Exception allows.',
    '',
  ];
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), licences.join('\n'));
  const glibc = `glibc ${glibcOf(addon)} or later`;
  const description = `The addon of ${name} for Linux on ${platform.cpu} with ${glibc}`;
  writeFileSync(join(folder, 'README.md'), `${description}. Install \`${name}\`, which wants it where it fits.\n`);
  const { license, engines } = manifest;
  const fits = { os: ['linux'], cpu: [platform.cpu], libc: ['glibc'] };
  writeManifest(folder, {
    name: nameFor(platform),
    version,
    description,
    license,
    engines,
    ...fits,
    main: './dmalg.node',
  });
  return `wants ${glibc}`;
}

/** dist/lib keeps what was compiled from a source that is gone since. */
function isCurrent(path: string): boolean {
  const source = relative(join(root, 'dist/lib'), path);
  return (
    source.startsWith('..') ||
    !/\.(d\.ts|js)$/.test(source) ||
    existsSync(join(root, 'lib', source.replace(/\.(d\.ts|js)$/, '.ts')))
  );
}

function stageMain(folder: string, built: Platform[]): void {
  const copied = manifest.files.filter((path: string) => !path.startsWith('!'));
  for (const path of [...copied, 'README.md', 'LICENSE'])
    cpSync(join(root, path), join(folder, path), { recursive: true, filter: isCurrent });
  // Here they would be asked for by every `npm install` in a checkout, before they have been published.
  const optionalDependencies = Object.fromEntries(built.map((platform) => [nameFor(platform), version]));
  const { devDependencies: _, scripts: __, ...published } = manifest;
  writeManifest(folder, { ...published, optionalDependencies });
}

interface Packed {
  name: string;
  filename: string;
  size: number;
  unpackedSize: number;
}

function pack(folders: string[], destination: string): Packed[] {
  mkdirSync(destination, { recursive: true });
  const options = ['--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', destination];
  return JSON.parse(execFileSync('npm', ['pack', ...options, ...folders], { encoding: 'utf8' }));
}

const kib = (bytes: number) => `${Math.ceil(bytes / 1024)} KiB`;

const destination = resolve(process.argv[2] ?? join(root, 'dist/packages'));
const stage = mkdtempSync(join(tmpdir(), 'dmalg-pack-'));
const stageFolder = (packageName: string) => {
  const folder = join(stage, packageName);
  mkdirSync(folder);
  return folder;
};
try {
  const built = platforms.filter((platform) => existsSync(addonFor(platform)));
  const notes: Record<string, string> = { [name]: `wants nothing but one of its ${built.length} addons` };
  stageMain(stageFolder(name), built);
  for (const platform of built) notes[nameFor(platform)] = stagePlatform(platform, stageFolder(nameFor(platform)));
  const folders = Object.keys(notes).map((packageName) => join(stage, packageName));
  for (const packed of pack(folders, destination)) {
    const sizes = `${kib(packed.size)}, installed ${kib(packed.unpackedSize)}`;
    process.stdout.write(`${join(destination, packed.filename)}: ${sizes}; ${notes[packed.name]}\n`);
  }
  for (const platform of platforms.filter((one) => !built.includes(one)))
    process.stdout.write(`${nameFor(platform)}: not built, so that this ${name} does not ask for it\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
