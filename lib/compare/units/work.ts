import { createDecipheriv, createHash } from 'node:crypto';
import type { Engine, EngineName } from '../../crypto/engine/engine.js';
import type { ProviderName } from '../../crypto/provider/provider.js';
import type { BatchFields } from '../../crypto/request/batch.js';
import type { Direction } from '../../crypto/request/iv.js';
import type { Salt } from '../../crypto/request/salt.js';
import { Tfm } from '../../crypto/request/tfm.js';
import { fill } from '../material/fill.js';
import { referenceSha256 } from '../material/reference-sha256.js';
import { ReferenceXts } from '../material/reference-xts.js';

/** Bytes of a data unit, and units of a bio: Xu 2025's 256 KiB. */
export const unitSize = 4096;
export const unitsPerBio = 64;

/** What is done with each unit of a bio. */
export interface UnitsWork {
  readonly type: 'skcipher' | 'hash';
  /** The kernel's name. */
  readonly algorithm: string;
  readonly direction: Direction;
  readonly key?: Uint8Array;
  readonly salt?: Salt;
  /** Bytes of a unit's IV and of its result. */
  readonly ivSize: number;
  readonly resultSize: number;
  /** What the unit becomes, by node:crypto. */
  directly(src: Uint8Array, iv: Uint8Array): Uint8Array;
  /** Of random bytes: the unit to work on, and what must become of it, by an implementation that shares no code with any arm. */
  reference(random: Uint8Array, iv: Uint8Array): { src: Uint8Array; expected: Uint8Array };
}

const key = fill(new Uint8Array(64), 6);
const salt = fill(new Uint8Array(32), 7);
const xts = new ReferenceXts(key);

/** fscrypt's and dm-crypt's work when a file is read. */
const decryption: UnitsWork = {
  type: 'skcipher',
  algorithm: 'xts(aes)',
  direction: 'decrypt',
  key,
  ivSize: 16,
  resultSize: unitSize,
  // The mode has no end: update gives all.
  directly: (src, iv) => createDecipheriv('aes-256-xts', key, iv).update(src),
  reference(random, iv) {
    const src = new Uint8Array(random.length);
    xts.encrypt(iv, random, src);
    return { src, expected: random };
  },
};

/** fs-verity's and dm-verity's. */
const digest: UnitsWork = {
  type: 'hash',
  algorithm: 'sha256',
  direction: 'encrypt',
  salt: { bytes: salt, place: 'first' },
  ivSize: 0,
  resultSize: 32,
  directly: (src) => createHash('sha256').update(salt).update(src).digest(),
  reference: (random) => ({ src: random, expected: referenceSha256(Buffer.concat([salt, random])) }),
};

export const unitsWorks: readonly UnitsWork[] = [decryption, digest];

/** @throws AlgError where the provider has it not */
export function openWork(work: UnitsWork, provider: ProviderName, engine: EngineName | Engine): Tfm {
  return new Tfm(work.type, work.algorithm, { provider, engine, ...(work.key && { key: work.key }) });
}

/** What a Batch of whole bios needs besides its buffers. */
export function batchFields({ direction, salt }: UnitsWork): Pick<BatchFields, 'direction' | 'unitSize' | 'salt'> {
  return { direction, unitSize, ...(salt && { salt }) };
}
