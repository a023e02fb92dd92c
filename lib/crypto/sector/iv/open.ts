import type { Tfm, TfmOptions } from '../../request/tfm.js';
import { CryptError } from '../error.js';
import type { KeyParts } from '../key.js';
import { blockCipherOf, type CipherSpec, type IvModeName } from '../spec.js';
import { eboiv, elephant } from './elephant.js';
import { essiv } from './essiv.js';
import type { IvMode } from './iv.js';
import { lmk } from './lmk.js';
import { benbi, nullIv, plain, plain64, plain64be } from './plain.js';
import { tcw } from './tcw.js';

export interface IvFields {
  mode: IvModeName;
  spec: CipherSpec;
  parts: KeyParts;
  /** The first key's. */
  tfm: Tfm;
  ivSize: number;
  sectorSize: number;
  /** Provider and engine of what a mode encrypts for itself. */
  options: TfmOptions;
}

/** Opens an IV mode. Source: the ctr and init of drivers/md/dm-crypt.c:crypt_iv_*_ops. @throws CryptError, AlgError, RangeError */
export function openIv(fields: IvFields): IvMode {
  const { mode, spec, parts, tfm, ivSize, sectorSize, options } = fields;
  const refuse = (detail: string) => new CryptError('Error creating IV', 'cipher', detail);
  const blockSize = tfm.info.blockSize ?? ivSize;
  switch (mode) {
    case 'plain':
      return plain;
    case 'plain64':
      return plain64;
    case 'plain64be':
      return plain64be;
    case 'null':
      return nullIv;
    case 'essiv':
      return essiv(blockCipherOf(spec.cipherName), spec.ivOptions!, parts.ciphers, options);
    case 'benbi':
      if (!Number.isInteger(Math.log2(blockSize))) throw refuse('cypher blocksize is not a power of 2');
      if (blockSize > 512) throw refuse('cypher blocksize is > 512');
      return benbi(blockSize);
    case 'lmk':
      if (sectorSize !== 512) throw refuse('Unsupported sector size for LMK');
      return lmk(parts.extra);
    case 'tcw':
      if (sectorSize !== 512) throw refuse('Unsupported sector size for TCW');
      if (parts.ciphers[0]!.length === 0) throw refuse('Wrong key size for TCW');
      return tcw(parts.extra);
    case 'eboiv':
    case 'elephant':
      if (blockSize !== ivSize) throw refuse('Block size of EBOIV cipher does not match IV size of block cipher');
      return mode === 'eboiv' ? eboiv(tfm) : elephant(tfm, parts.extra, options);
    case 'random':
      throw new CryptError('Integrity profile not supported.', 'cipher', 'random IVs need an integrity device below');
  }
}
