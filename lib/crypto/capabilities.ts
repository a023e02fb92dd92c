import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { binding, typeNumber } from '../base/binding.js';
import { chooseEngine } from './engine/engine-choice.js';
import { AlgError, algError, errnoName } from './error.js';
import { type AioProbe, type AioType, probeAio } from './provider/aio-probe.js';
import { libraryNames } from './provider/library.js';
import { type Algorithm, type AlgType, algTypes, readProcCrypto } from './provider/proc-crypto.js';
import { chooseProvider, type ProviderName } from './provider/provider.js';
import { Tfm } from './request/tfm.js';

export interface AfAlg {
  available: boolean;
  /** Why not, and what to do. */
  reason: string | undefined;
  /** /proc/sys/crypto/af_alg_restrict: 0 all, 1 a short list, 2 off; undefined where the kernel has no such switch. */
  restrict: number | undefined;
  /** Which AF_ALG types' modules are loaded or built in, by what binds. */
  types: Record<AlgType, boolean>;
}

export interface OfferedAlgorithm extends Algorithm {
  /** 'yes', or the code of the error that bind gave; 'no type' for what AF_ALG has no type for. */
  binds: string;
}

export interface AutoChoice {
  type: AlgType;
  name: string;
  provider: ProviderName | 'none';
  engine: string;
  why: string;
}

export interface Capabilities {
  kernel: string;
  /** The lab's profile, inside the lab. */
  lab: string | undefined;
  node: string;
  libcrypto: string;
  processors: number;
  afAlg: AfAlg;
  aio: Record<AioType, AioProbe>;
  /** Whether requests without an IV go on from the one before on the same op socket (cbc(aes)); undefined: not testable. */
  carriesIv: boolean | undefined;
  /** /proc/crypto, each with whether it binds. */
  algorithms: OfferedAlgorithm[];
  /** What the library does, by the kernel's names. */
  library: Record<AlgType, string[]>;
  /** What 'auto' picks for common algorithms, and why. */
  auto: AutoChoice[];
}

/** What this host offers, found out by trying. Takes some tens of milliseconds; reads, binds and runs, changes nothing. */
export async function capabilities(): Promise<Capabilities> {
  const afAlg = probeAfAlg();
  const aio = { skcipher: await probeAio('skcipher'), aead: await probeAio('aead') };
  return {
    kernel: release(),
    lab: process.env['DMALG_LAB'],
    node: process.version,
    libcrypto: process.versions.openssl,
    processors: availableParallelism(),
    afAlg,
    aio,
    carriesIv: afAlg.available ? probeCarry() : undefined,
    algorithms: readProcCrypto().map((algorithm) => ({ ...algorithm, binds: bindable(algorithm, afAlg.available) })),
    library: Object.fromEntries(algTypes.map((type) => [type, libraryNames(type)])) as Record<AlgType, string[]>,
    auto: await Promise.all(commonAlgorithms.map(([type, name]) => describeAuto(type, name))),
  };
}

const commonAlgorithms: [AlgType, string][] = [
  ['hash', 'sha256'],
  ['skcipher', 'cbc(aes)'],
  ['skcipher', 'xts(aes)'],
  ['aead', 'gcm(aes)'],
  ['rng', 'stdrng'],
];

/** Opens and closes one. 0 or -errno. */
function tryBind(type: AlgType, name: string): number {
  const handle = binding().kernel_open(typeNumber[type], name, 0, 0, []);
  return typeof handle === 'number' ? handle : binding().tfm_close(handle);
}

function probeAfAlg(): AfAlg {
  const result = binding().af_alg_probe();
  const restrict = readNumber('/proc/sys/crypto/af_alg_restrict');
  const sample: Record<AlgType, string[]> = {
    hash: ['sha256', 'sha1'],
    skcipher: ['cbc(aes)', 'xts(aes)'],
    aead: ['gcm(aes)', 'ccm(aes)'],
    rng: ['stdrng'],
  };
  const binds = (type: AlgType) => result === 0 && sample[type].some((name) => tryBind(type, name) === 0);
  const types = Object.fromEntries(algTypes.map((type) => [type, binds(type)])) as Record<AlgType, boolean>;
  return { available: result === 0, reason: result < 0 ? whyNot(result, restrict) : undefined, restrict, types };
}

/** Tells the four reasons apart, as far as a process can. */
function whyNot(result: number, restrict: number | undefined): string {
  const { code } = errnoName(-result);
  if (code !== 'EAFNOSUPPORT') {
    const filtered = /^Seccomp:\s*2/m.test(readText('/proc/self/status'));
    return `${algError('socket', 'AF_ALG', result).hint}${filtered ? '; this process runs under a seccomp filter' : ''}`;
  }
  if (restrict === 2) return 'AF_ALG is switched off: set crypto.af_alg_restrict to 0 or 1 (sysctl, as root)';
  const modules = `/lib/modules/${release()}`;
  if (!existsSync(modules))
    return `this kernel was built without AF_ALG, or its modules are not installed (no ${modules}); use the library provider, or run the command with 'dmalg lab'`;
  if (readText(`${modules}/modules.dep`).includes('/af_alg.ko'))
    return "the module af_alg is there and not loaded: 'modprobe af_alg' as root";
  return "this kernel was built without AF_ALG (CONFIG_CRYPTO_USER_API); use the library provider, or run the command with 'dmalg lab'";
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readNumber(path: string): number | undefined {
  const text = readText(path).trim();
  return text === '' ? undefined : Number(text);
}

function probeCarry(): boolean | undefined {
  try {
    const tfm = new Tfm('skcipher', 'cbc(aes)', { key: new Uint8Array(16), provider: 'kernel', engine: 'sync' });
    const carries = tfm.carriesIv();
    tfm.close();
    return carries;
  } catch (error) {
    if (error instanceof AlgError) return undefined;
    throw error;
  }
}

function bindable(algorithm: Algorithm, available: boolean): string {
  if (algorithm.type === undefined) return 'no type';
  if (!available) return 'no AF_ALG';
  const result = tryBind(algorithm.type, algorithm.driver);
  return result === 0 ? 'yes' : errnoName(-result).code;
}

async function describeAuto(type: AlgType, name: string): Promise<AutoChoice> {
  try {
    const { provider, why } = chooseProvider(type, name);
    const engine = await chooseEngine(type, name, provider);
    return { type, name, provider, engine: engine.name, why: `${why}; ${engine.why}` };
  } catch (error) {
    return { type, name, provider: 'none', engine: 'none', why: (error as Error).message };
  }
}
