import { AlgError } from '../error.js';
import { Tfm, type TfmOptions } from '../request/tfm.js';
import { CryptError } from './error.js';
import type { IvMode } from './iv/iv.js';
import { openIv } from './iv/open.js';
import { type KeyParts, splitKey } from './key.js';
import type { KeySerial } from './keyring.js';
import { blockCipherOf, type CipherSpec, ivModeOf } from './spec.js';

export interface OpenedTfms {
  /** One a key. */
  tfms: Tfm[];
  /** Bytes. */
  ivSize: number;
  /** The IV mode for sectors of this size; on an error the tfms are closed. */
  iv(sectorSize: number): IvMode | undefined;
}

/**
 * Opens and keys what a cipher specification needs. `key` is the caller's to wipe when the IV mode is open.
 * Source: drivers/md/dm-crypt.c:crypt_ctr_cipher. @throws CryptError
 */
export function openTfms(asked: CipherSpec, key: Uint8Array | KeySerial, wanted: TfmOptions): OpenedTfms {
  const { spec, options } = key instanceof Uint8Array ? { spec: asked, options: wanted } : bySerial(asked, wanted);
  const note = key instanceof Uint8Array ? '' : `; ${serialRemedy}`;
  const ivSize = guard(spec, () => ivSizeOf(spec, options), note);
  const mode = ivModeOf(spec, ivSize);
  if (asked.ivMode === 'essiv') guard(spec, () => checkEssiv(asked, ivSize, options), note);
  const parts = key instanceof Uint8Array ? splitKey(key, spec, mode, ivSize) : noParts;
  const seals = key instanceof Uint8Array ? parts.ciphers.map((part) => ({ key: part })) : [{ keySerial: key.serial }];
  const tfms: Tfm[] = [];
  const close = () => {
    for (const tfm of tfms) tfm.close();
  };
  const closing = <T>(make: () => T): T => {
    try {
      return guard(spec, make, note);
    } catch (error) {
      close();
      throw error;
    }
  };
  closing(() => {
    for (const seal of seals) tfms.push(new Tfm('skcipher', spec.cipherName, { ...options, ...seal }));
  });
  const iv = (sectorSize: number) =>
    closing(() => mode && openIv({ mode, spec, parts, tfm: tfms[0]!, ivSize, sectorSize, options }));
  return { tfms, ivSize, iv };
}

/**
 * What to open where the key stays in the kernel: its crypto, and one tfm that has all of the key. ESSIV's then is the kernel's
 * template, since nobody here can hash the key. @throws CryptError
 */
function bySerial(spec: CipherSpec, options: TfmOptions): { spec: CipherSpec; options: TfmOptions } {
  const refuse = (why: string) =>
    new CryptError('Error decoding and setting key', 'key', `${why}; ${serialRemedy}`, { code: 'EOPNOTSUPP' });
  if (options.provider === 'library') throw refuse("only the kernel's crypto takes a key that cannot be read");
  if (spec.keyCount > 1) throw refuse(`a key that cannot be read cannot be cut into ${spec.keyCount}`);
  if (spec.ivMode === 'lmk' || spec.ivMode === 'tcw' || spec.ivMode === 'elephant')
    throw refuse(`${spec.ivMode} needs a part of the key, which cannot be read`);
  const essiv: Partial<CipherSpec> = { cipherName: spec.apiName, ivMode: 'plain64' };
  return {
    spec: spec.ivMode === 'essiv' ? { ...spec, ...essiv } : spec,
    options: { ...options, provider: 'kernel' },
  };
}

const serialRemedy = 'a key of type user can be read';
const noParts: KeyParts = { ciphers: [], extra: new Uint8Array(0) };

/**
 * ESSIV wants a digest that is a key of the block cipher, and an IV of the size of its blocks.
 * Source: crypto/essiv.c:essiv_supported_algorithms. @throws CryptError, AlgError
 */
function checkEssiv(spec: CipherSpec, ivSize: number, options: TfmOptions): void {
  const refuse = (why: string) =>
    new CryptError('Error allocating crypto tfm', 'cipher', `${spec.apiName}: ${why}`, { code: 'EINVAL' });
  const { ivOptions: digest = '' } = spec;
  if (digest === '') throw refuse('the digest is missing');
  const { provider } = options;
  using hash = new Tfm('hash', digest, provider ? { provider } : {});
  using block = new Tfm('skcipher', `ecb(${blockCipherOf(spec.cipherName)})`, options);
  const { digestSize = 0 } = hash.info;
  const { minKeySize = 0, maxKeySize = Number.POSITIVE_INFINITY, blockSize } = block.info;
  if (digestSize < minKeySize || digestSize > maxKeySize)
    throw refuse(`a digest of ${digestSize} bytes is no key of the cipher's: ${minKeySize} to ${maxKeySize} bytes`);
  if (blockSize !== undefined && ivSize !== blockSize)
    throw refuse(`an IV of ${ivSize} bytes is no block of ${blockSize}`);
}

/** How the key is cut depends on the IV's size, so it is asked for before there is a key. */
function ivSizeOf(spec: CipherSpec, options: TfmOptions): number {
  using tfm = new Tfm('skcipher', spec.cipherName, options);
  return tfm.info.ivSize ?? 0;
}

/** An error of the crypto API in dm-crypt's words, and a note. */
function guard<T>(spec: CipherSpec, make: () => T, note = ''): T {
  try {
    return make();
  } catch (error) {
    const refuseKey = (detail: string, code?: string) =>
      new CryptError('Error decoding and setting key', 'key', detail + note, { cause: error, ...(code && { code }) });
    if (error instanceof RangeError) throw refuseKey(error.message);
    if (error instanceof AlgError && error.syscall.startsWith('setsockopt(key'))
      throw refuseKey(error.message, error.code);
    // A TypeError: no algorithm can have such a name, as the empty one.
    if (error instanceof AlgError || error instanceof TypeError)
      throw new CryptError(
        'Error allocating crypto tfm',
        'cipher',
        `${spec.apiName || 'no name'}: ${error.message}${note}`,
        {
          cause: error,
        },
      );
    throw error;
  }
}
