import { getHashes, pbkdf2 } from 'node:crypto';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { binding } from '../base/binding.js';
import { ENOMEM } from '../base/errno.js';
import { allocateSecret } from '../base/secret.js';
import { LuksError } from './error.js';

/** How a passphrase becomes a key, with its costs. */
export type Pbkdf =
  | { type: 'pbkdf2'; hash: string; iterations: number }
  | { type: 'argon2i' | 'argon2id'; passes: number; kibibytes: number; lanes: number };

/** Costs beyond these are refused: whoever writes a header does not decide how long its reader computes. */
export const pbkdfLimits = {
  /** KiB. The same as libcryptsetup's MAX_PBKDF_MEMORY. */
  kibibytes: 4 << 20,
  lanes: 64,
  /** Passes times KiB: about a quarter of an hour on one core. */
  work: 2 ** 30,
  /** As libcryptsetup's: iterations are a 32-bit number in LUKS1's header. */
  iterations: 2 ** 32 - 1,
};

const nodePbkdf2 = promisify(pbkdf2);

/** node:crypto's name of a hash as LUKS headers spell it, or undefined where it has none. */
export function nodeHash(name: string): string | undefined {
  const node = name.toLowerCase().replace(/^blake2([bs])-(512|256)$/, 'blake2$1$2');
  return getHashes().includes(node) ? node : undefined;
}

/** As nodeHash. @throws LuksError ENOTSUP */
export function requireHash(name: string): string {
  const node = nodeHash(name);
  if (node === undefined)
    throw new LuksError('ENOTSUP', `hash ${name}: this Node.js has no such hash; 'dmalg info' lists what there is`);
  return node;
}

/**
 * Derives a key of `size` bytes, for the caller to wipe, off the event loop.
 * Sources: RFC 8018 (PBKDF2), RFC 9106 (Argon2). @throws LuksError
 */
export async function derive(pbkdf: Pbkdf, passphrase: Uint8Array, salt: Uint8Array, size: number): Promise<Buffer> {
  checkPbkdf(pbkdf);
  if (pbkdf.type === 'pbkdf2') {
    // Node.js calls back with memory of its own that is no part of a pool.
    return nodePbkdf2(passphrase, salt, pbkdf.iterations, size, requireHash(pbkdf.hash));
  }
  const into = allocateSecret(size);
  const { type, passes, kibibytes, lanes } = pbkdf;
  const kind = type === 'argon2i' ? 1 : 2;
  const result = await new Promise<number>((resolve) => {
    const started = binding().argon2(kind, passes, kibibytes, lanes, passphrase, salt, into, resolve);
    if (started < 0) resolve(started);
  });
  if (result === -ENOMEM) throw noMemory(kibibytes, 'this process cannot have it (ulimit -v, memory cgroup)');
  if (result < 0) throw new LuksError('EINVAL', `${type}: refused its parameters (error ${result})`);
  return into;
}

/** Checks costs before any work is done. @throws LuksError */
export function checkPbkdf(pbkdf: Pbkdf): void {
  const whole = (what: string, value: number, least: number, most: number) => {
    if (!Number.isInteger(value) || value < least || value > most)
      throw new LuksError('EINVAL', `${pbkdf.type}: ${what} is ${value}; expected ${least} to ${most}`);
  };
  if (pbkdf.type === 'pbkdf2') {
    whole('iteration count', pbkdf.iterations, 1, pbkdfLimits.iterations);
    return;
  }
  const { passes, kibibytes, lanes } = pbkdf;
  whole('parallel cost', lanes, 1, pbkdfLimits.lanes);
  whole('memory cost in KiB', kibibytes, 8 * lanes, pbkdfLimits.kibibytes);
  whole('time cost', passes, 1, Math.floor(pbkdfLimits.work / kibibytes));
  // Memory that is not there would have the kernel end the process, not refuse it.
  const there = memoryKibibytes();
  if (kibibytes > there) throw noMemory(kibibytes, `this machine, or this container, has ${there} KiB`);
}

/** KiB that the machine has, or that the process's cgroup may have. */
export function memoryKibibytes(): number {
  const allowed = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return Math.floor(Math.min(allowed, totalmem()) / 1024);
}

function noMemory(kibibytes: number, why: string): LuksError {
  return new LuksError(
    'ENOMEM',
    `Argon2 needs ${kibibytes} KiB of memory for this key slot: ${why}. ` +
      'Open it where there is more, or change the key there with --pbkdf-memory',
  );
}

/** Costs to find: which function, how long one derivation takes, and what is given. */
export interface PbkdfWish {
  type: Pbkdf['type'];
  /** Of PBKDF2. */
  hash: string;
  /** Milliseconds that a derivation may take here. */
  iterTime: number;
  /** Iterations or passes, not measured. */
  forceIterations?: number | undefined;
  /** KiB at most. Default: 1 GiB, or half of what the machine has. */
  kibibytes?: number | undefined;
  /** Threads. Default: 4, or as many as there are processors. */
  lanes?: number | undefined;
}

const leastPbkdf2 = 1000;
const leastPasses = 4;
const leastKibibytes = 64 << 10;
const defaultKibibytes = 1 << 20;
const mostLanes = 4;

/**
 * Finds costs for which a derivation takes `iterTime` on this machine: Argon2's memory grows first, up to its limit, then its passes.
 * Source: libcryptsetup's crypt_pbkdf_perf. @throws LuksError
 */
export async function measurePbkdf(wish: PbkdfWish, keySize: number): Promise<Pbkdf> {
  const { type, hash, iterTime, forceIterations } = wish;
  if (type === 'pbkdf2') {
    if (forceIterations !== undefined) return { type, hash, iterations: forceIterations };
    const perMs = await pbkdf2Rate(hash, keySize);
    return { type, hash, iterations: clamp(Math.floor(perMs * iterTime), leastPbkdf2, pbkdfLimits.iterations) };
  }
  const lanes = wish.lanes ?? Math.min(mostLanes, availableParallelism());
  const most = wish.kibibytes ?? Math.min(defaultKibibytes, Math.floor(memoryKibibytes() / 2));
  if (forceIterations !== undefined) return { type, passes: forceIterations, kibibytes: most, lanes };
  const kibibytes = Math.max(8 * lanes, Math.min(leastKibibytes, most));
  const first = { type, passes: leastPasses, kibibytes, lanes } as const;
  // KiB times passes in a millisecond. The second time the memory of the first is warm, as it will be with more passes.
  await timeOf(first, keySize);
  const rate = (kibibytes * leastPasses) / (await timeOf(first, keySize));
  const work = rate * iterTime;
  const memory = clamp(Math.floor(work / leastPasses), kibibytes, most);
  const passes = clamp(Math.floor(work / memory), leastPasses, Math.floor(pbkdfLimits.work / memory));
  return { type, passes, kibibytes: memory, lanes };
}

async function pbkdf2Rate(hash: string, keySize: number): Promise<number> {
  for (let iterations = 1 << 12; ; iterations *= 4) {
    const ms = await timeOf({ type: 'pbkdf2', hash, iterations }, keySize);
    if (ms > 40 || iterations >= 1 << 24) return iterations / ms;
  }
}

async function timeOf(pbkdf: Pbkdf, keySize: number): Promise<number> {
  const started = performance.now();
  (await derive(pbkdf, Buffer.from('foobarfo'), Buffer.alloc(32, 0x61), keySize)).fill(0);
  return Math.max(performance.now() - started, 1e-3);
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
