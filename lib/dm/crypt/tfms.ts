import { AlgError } from '../../alg/error.js';
import { Tfm, type TfmOptions } from '../../alg/tfm.js';
import { CryptError } from './error.js';
import type { IvMode } from './iv/iv.js';
import { openIv } from './iv/open.js';
import { splitKey } from './key.js';
import { type CipherSpec, ivModeOf } from './spec.js';

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
export function openTfms(spec: CipherSpec, key: Uint8Array, options: TfmOptions): OpenedTfms {
  const ivSize = guard(spec, () => ivSizeOf(spec, options));
  const mode = ivModeOf(spec, ivSize);
  const parts = splitKey(key, spec, mode, ivSize);
  const tfms: Tfm[] = [];
  const close = () => {
    for (const tfm of tfms) tfm.close();
  };
  const closing = <T>(make: () => T): T => {
    try {
      return guard(spec, make);
    } catch (error) {
      close();
      throw error;
    }
  };
  closing(() => {
    for (const part of parts.ciphers) tfms.push(new Tfm('skcipher', spec.cipherName, { ...options, key: part }));
  });
  const iv = (sectorSize: number) =>
    closing(() => mode && openIv({ mode, spec, parts, tfm: tfms[0]!, ivSize, sectorSize, options }));
  return { tfms, ivSize, iv };
}

/** How the key is cut depends on the IV's size, so it is asked for before there is a key. */
function ivSizeOf(spec: CipherSpec, options: TfmOptions): number {
  using tfm = new Tfm('skcipher', spec.cipherName, options);
  return tfm.info.ivSize ?? 0;
}

/** An error of the crypto API in dm-crypt's words. */
function guard<T>(spec: CipherSpec, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError || (error instanceof AlgError && error.syscall === 'setsockopt(key)'))
      throw new CryptError('Error decoding and setting key', 'key', error.message, { cause: error });
    if (error instanceof AlgError)
      throw new CryptError('Error allocating crypto tfm', 'cipher', `${spec.apiName}: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}
