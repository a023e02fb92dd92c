import { allocateSecret } from '../../../base/secret.js';
import type { Engine } from '../../engine/engine.js';
import { Tfm, type TfmOptions } from '../../request/tfm.js';
import { type IvMode, putLittle } from './iv.js';

/**
 * The sector, LE64, encrypted with the cipher under the digest of the sector's key. Source: crypto/essiv.c:essiv_skcipher_setkey,
 * essiv_skcipher_crypt. One request for all sectors: ECB's blocks are independent. @throws AlgError, RangeError
 */
export function essiv(cipher: string, digest: string, keys: Uint8Array[], options: TfmOptions): IvMode {
  const tfms: Tfm[] = [];
  const close = () => {
    for (const tfm of tfms) tfm.close();
  };
  try {
    for (const key of keys) {
      const salt = digestOf(digest, key, options);
      try {
        tfms.push(new Tfm('skcipher', `ecb(${cipher})`, { ...options, key: salt }));
      } finally {
        salt.fill(0);
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    async fill({ numbers, key, engine }, ivs, ivSize) {
      putLittle(numbers, ivs, ivSize);
      await encryptBlocks(tfms[key]!, ivs, engine);
    },
    close,
  };
}

/** A key that is made of a key, for the caller to wipe. */
function digestOf(digest: string, key: Uint8Array, { provider }: TfmOptions): Uint8Array {
  using tfm = new Tfm('hash', digest, provider ? { provider } : {});
  using request = tfm.request();
  request.src = key;
  request.dst = allocateSecret(tfm.info.digestSize ?? largestDigest);
  return request.dst.subarray(0, request.runSync());
}

/** Where /proc/crypto cannot be read, no digest is longer. */
const largestDigest = 64;

/** Encrypts whole blocks in place with an ECB tfm, in one request. */
export async function encryptBlocks(tfm: Tfm, blocks: Uint8Array, engine: Engine): Promise<void> {
  const batch = tfm.batch({ direction: 'encrypt', unitSize: blocks.length, ivs: null, src: blocks, dst: blocks });
  await batch.run(engine);
}
