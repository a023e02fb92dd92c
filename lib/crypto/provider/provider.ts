import { performance } from 'node:perf_hooks';
import { binding, type TfmHandle, typeNumber } from '../../base/binding.js';
import { ENOENT } from '../../base/errno.js';
import { debug } from '../../base/observe.js';
import { algError, errnoName } from '../error.js';
import { libraryAlgorithm } from './library.js';
import { type AlgType, findAlgorithm, readProcCrypto } from './proc-crypto.js';
import { unknownName } from './unknown-name.js';

export type ProviderName = 'kernel' | 'library';
export const providerNames: readonly ProviderName[] = ['kernel', 'library'];

export interface ProviderChoice {
  provider: ProviderName;
  /** In a sentence. */
  why: string;
}

const chosen = new Map<string, ProviderChoice>();

/**
 * Whose crypto 'auto' takes for an algorithm: whoever has it; where both do, the faster in a short measurement, made
 * once in a process. @throws AlgError when neither has it
 */
export function chooseProvider(type: AlgType, name: string): ProviderChoice {
  const key = `${type} ${name}`;
  const known = chosen.get(key);
  if (known) return known;
  const choice = choose(type, name);
  debug(() => `provider: ${choice.provider} for ${name}: ${choice.why}`);
  chosen.set(key, choice);
  return choice;
}

function choose(type: AlgType, name: string): ProviderChoice {
  const known = libraryAlgorithm(type, name) !== undefined;
  const probe = binding().af_alg_probe();
  if (probe < 0) {
    if (!known) {
      const unknown = unknownName(type, name);
      const neither = `this process's libcrypto does not know it, and the kernel cannot be asked (${errnoName(-probe).code}: no AF_ALG here); run the command with \`dmalg lab\``;
      throw algError('library', name, -ENOENT, unknown ?? neither);
    }
    return { provider: 'library', why: 'this kernel offers no AF_ALG' };
  }
  const kernel = openKernel(type, name);
  if (!kernel)
    return {
      provider: known ? 'library' : 'kernel',
      why: known ? 'the kernel does not offer it' : 'neither offers it',
    };
  binding().tfm_close(kernel);
  if (!known) return { provider: 'kernel', why: 'libcrypto does not know it' };
  const rates = { kernel: measure('kernel', type, name), library: measure('library', type, name) };
  const provider = rates.kernel > rates.library ? 'kernel' : 'library';
  const [kernelRate, libraryRate] = [rates.kernel, rates.library].map((rate) => `${Math.round(rate)} MiB/s`);
  return {
    provider,
    why: `measured now with ${measuredBytes / 1024} KiB requests: kernel ${kernelRate}, library ${libraryRate}`,
  };
}

const measuredBytes = 16384;
const measuredMs = 2;

function openKernel(type: AlgType, name: string): TfmHandle | undefined {
  const handle = binding().kernel_open(typeNumber[type], name, 0, 0, []);
  return typeof handle === 'number' ? undefined : handle;
}

/** MiB/s of one provider over a few milliseconds; 0 when it does not run. */
function measure(provider: ProviderName, type: AlgType, name: string): number {
  const native = binding();
  const library = libraryAlgorithm(type, name)!;
  const keySize = library.keySizes?.at(-1) ?? findAlgorithm(readProcCrypto(), type, name)?.minKeySize ?? 0;
  const handle =
    provider === 'kernel' ? openKernel(type, name) : native.library_open(library.kind, library.evpName(keySize)!);
  if (handle === undefined || typeof handle === 'number') return 0;
  // Two different halves, which XTS insists on.
  native.tfm_set_key(
    handle,
    Uint8Array.from({ length: keySize }, (_, index) => index),
  );
  const op = native.op_open(handle);
  let rate = 0;
  if (typeof op !== 'number') {
    const src = new Uint8Array(type === 'rng' ? 0 : measuredBytes);
    const dst = new Uint8Array(type === 'hash' ? library.digestSize : measuredBytes + library.maxAuthSize);
    const iv = library.ivSize ? new Uint8Array(library.ivSize).fill(1) : null;
    const run = () => native.op_run(op, 1, iv, 0, src, dst, null);
    if (run() > 0) {
      const start = performance.now();
      let runs = 0;
      do runs++;
      while (run() > 0 && performance.now() - start < measuredMs);
      rate = (runs * measuredBytes) / 1048576 / ((performance.now() - start) / 1000);
    }
    native.op_close(op);
  }
  native.tfm_close(handle);
  return rate;
}
