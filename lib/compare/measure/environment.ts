import { readdirSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, version } from 'node:os';
import { binding } from '../../base/binding.js';
import { type AioProbe, probeAio } from '../../crypto/provider/aio-probe.js';
import type { Driver } from './drivers.js';

export interface DriverDescription {
  name: string;
  provider: 'kernel' | 'library';
  /** Undefined for what is built into the kernel, and for the library. */
  module?: string;
  priority?: number;
  /** /sys/module/MODULE/parameters; a module may hide some of its own, as cryptd does. */
  parameters: Record<string, string>;
}

/** What the lab runs on. */
export interface Host {
  kernel: string;
  cpu: string;
  count: number;
  /** The share of its processors, 0 to 1, that something else used just before. It makes the lab's figures noisy. */
  busy: number;
}

/** How the lab's guest is told of its host. */
export const hostVariable = 'DMALG_COMPARE_HOST';

/** Takes some tenths of a second. */
export async function describeHost(): Promise<Host> {
  const before = cpus();
  await new Promise((resolve) => setTimeout(resolve, 400));
  const spent = cpus().map(({ times }, index) => {
    const idle = times.idle - before[index]!.times.idle;
    const sum = (all: typeof times) => all.user + all.nice + all.sys + all.idle + all.irq;
    return 1 - idle / (sum(times) - sum(before[index]!.times) || 1);
  });
  const busy = spent.reduce((sum, share) => sum + share, 0) / spent.length;
  return { kernel: release(), cpu: cpuModel(), count: availableParallelism(), busy };
}

const cpuModel = () => cpus()[0]?.model ?? 'unknown';

/** The machine that figures come from: without it they say nothing. */
export interface Environment {
  date: string;
  kernel: { release: string; version: string; architecture: string; commandLine?: string };
  /** The lab's profile, in the lab. */
  lab?: string;
  host?: Host;
  cpu: { model: string; count: number; flags: string[] };
  /** What the processor is made of: 'none' is real hardware. */
  virtualisation: 'none' | 'hypervisor' | 'emulated';
  memoryBytes: number;
  /** `aio`: what the kernel does with IOCBs on ciphers, as proved by submitting some. */
  afAlg: { available: boolean; restrict?: number; aio: Pick<AioProbe, 'state' | 'evidence'> };
  node: string;
  libcrypto: string;
  /** Of the last minute, when the experiment began: other work on the machine. */
  load: number;
  /** The share of the processors' time, 0 to 1, that a hypervisor gave to others just before. Absent where it cannot be told. */
  steal?: number;
  drivers: DriverDescription[];
}

/** Flags that crypto drivers look for. */
const cryptoFlags = /^(aes|sha_ni|sha1|sha2|sha512|sha3|vaes|pclmulqdq|vpclmulqdq|avx|avx2|avx512f|ssse3|pmull)$/;

export async function describeEnvironment(drivers: Driver[]): Promise<Environment> {
  const cpuinfo = readText('/proc/cpuinfo') ?? '';
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(/\s+/) ?? [];
  const model = cpuModel();
  const restrict = readText('/proc/sys/crypto/af_alg_restrict');
  const lab = process.env['DMALG_LAB'];
  const host = process.env[hostVariable];
  const { state, evidence } = await probeAio('skcipher');
  const steal = await measureSteal();
  return {
    date: new Date().toISOString(),
    kernel: {
      release: release(),
      version: version(),
      architecture: arch(),
    },
    ...(lab && { lab }),
    ...(host && { host: JSON.parse(host) as Host }),
    cpu: { model, count: availableParallelism(), flags: flags.filter((flag) => cryptoFlags.test(flag)) },
    virtualisation: model.includes('TCG') ? 'emulated' : flags.includes('hypervisor') ? 'hypervisor' : 'none',
    memoryBytes: totalmem(),
    afAlg: {
      available: binding().af_alg_probe() >= 0,
      ...(restrict !== undefined && { restrict: Number(restrict) }),
      aio: { state, evidence },
    },
    node: process.version,
    libcrypto: process.versions.openssl,
    load: loadavg()[0]!,
    ...(steal !== undefined && { steal }),
    drivers: drivers.map(describeDriver),
  };
}

/** Jiffies of all processors: all of them, and those stolen (proc(5)). */
function readJiffies(): { all: number; stolen: number } | undefined {
  const [, line] = /^cpu +(.*)$/m.exec(readText('/proc/stat') ?? '') ?? [];
  const times = line?.split(' ').map(Number);
  if (times?.[7] === undefined) return undefined;
  return { all: times.slice(0, 8).reduce((sum, time) => sum + time, 0), stolen: times[7] };
}

async function measureSteal(): Promise<number | undefined> {
  const before = readJiffies();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const after = readJiffies();
  if (!before || !after || after.all === before.all) return undefined;
  return (after.stolen - before.stolen) / (after.all - before.all);
}

function describeDriver({ name, provider, listed }: Driver): DriverDescription {
  const module = listed && listed.module !== 'kernel' ? listed.module : undefined;
  return {
    name,
    provider,
    ...(module && { module }),
    ...(listed && { priority: listed.priority }),
    parameters: module ? readParameters(module) : {},
  };
}

/** A module's parameters; those that only root may read are left out where this is not root. */
function readParameters(module: string): Record<string, string> {
  const folder = `/sys/module/${module}/parameters`;
  const parameters: Record<string, string> = {};
  for (const name of listFolder(folder)) {
    const value = readText(`${folder}/${name}`);
    if (value !== undefined) parameters[name] = value.trim();
  }
  return parameters;
}

/** The kernel's whole command line, which may tell more of a machine than its owner wants to publish. */
export function kernelCommandLine(): string {
  return readText('/proc/cmdline')?.trim() ?? '';
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
