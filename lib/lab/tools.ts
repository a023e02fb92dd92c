import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LabError } from './error.js';

/** The programs of the host that the lab runs, and the Debian package that brings each. */
const packages = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  depmod: 'kmod',
  modprobe: 'kmod',
  xz: 'xz-utils',
  setpriv: 'util-linux',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  'apt-cache': 'apt',
} as const;

export type Tool = keyof typeof packages;

/** A user's PATH often lacks the sbin folders, where depmod is. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A dynamically linked busybox would find no libraries in the initramfs: ELF program header 3 (PT_INTERP) gives it away. */
export function isStatic(path: string): boolean {
  const elf = readFileSync(path);
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2) return false;
  const offset = Number(elf.readBigUInt64LE(32));
  const size = elf.readUInt16LE(54);
  for (let n = 0; n < elf.readUInt16LE(56); n++) if (elf.readUInt32LE(offset + n * size) === 3) return false;
  return true;
}

function lookUp(tool: Tool): string | undefined {
  // Only what decides whether the lab runs is looked for in PATH alone: hiding QEMU from PATH must hide it.
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const folders = tool === 'qemu-system-x86_64' ? path : [...path, ...systemFolders];
  return folders
    .map((folder) => join(folder, tool))
    .find((file) => isProgram(file) && (tool !== 'busybox' || isStatic(file)));
}

function missing(tools: Tool[]): string {
  const names = tools.map((tool) => (tool === 'busybox' ? 'busybox (static)' : tool)).join(', ');
  const needed = [...new Set(tools.map((tool) => packages[tool]))].join(' ');
  return `the lab needs ${names}, not found in PATH; type: apt-get install ${needed}`;
}

/** The path of a program. @throws LabError `tools` naming the package to install. */
export function findTool(tool: Tool): string {
  const path = lookUp(tool);
  if (!path) throw new LabError('tools', missing([tool]));
  return path;
}

/**
 * Whether this host can run the lab, without starting or downloading anything.
 * @returns undefined when it can, else one line: what is missing and what to type.
 */
export function labUnavailable(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `the lab runs on Linux x86-64 only, this is ${process.platform} ${process.arch}`;
  const absent = (Object.keys(packages) as Tool[]).filter((tool) => !lookUp(tool));
  return absent.length > 0 ? missing(absent) : undefined;
}
