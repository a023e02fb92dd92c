import { CryptError } from './error.js';

export const ivModes = [
  'plain',
  'plain64',
  'plain64be',
  'null',
  'essiv',
  'benbi',
  'lmk',
  'tcw',
  'eboiv',
  'elephant',
  'random',
] as const;
export type IvModeName = (typeof ivModes)[number];

/** What a cipher specification of a table line says. */
export interface CipherSpec {
  /** The kernel's crypto API name, as dm-crypt allocates it: 'xts(aes)', 'essiv(cbc(aes),sha256)'. */
  apiName: string;
  /** The same without essiv(...), which is done here. */
  cipherName: string;
  /** undefined where the specification names none (ecb). */
  ivMode: IvModeName | undefined;
  /** What follows the IV mode and a colon; for essiv the digest. */
  ivOptions: string | undefined;
  /** How many keys the sectors take in turn; a power of two. */
  keyCount: number;
}

/**
 * Reads a cipher specification: `cipher[:keycount]-mode-iv[:ivopts]` or `capi:NAME-iv[:ivopts]`. The IV mode's name is checked
 * when it is known whether the cipher has an IV at all, see `ivModeOf`.
 * Source: drivers/md/dm-crypt.c:crypt_ctr_cipher_old, crypt_ctr_cipher_new. @throws CryptError
 */
export function parseCipher(text: string): CipherSpec {
  return text.startsWith('capi:') ? parseNew(text) : parseOld(text);
}

function parseOld(text: string): CipherSpec {
  if (text.includes('(')) throw new CryptError('Bad cipher specification', 'cipher', text);
  const [first = '', rest] = splitOnce(text, '-');
  const [cipher = '', keys] = splitOnce(first, ':');
  const keyCount = keys === undefined ? 1 : /^\d+$/.test(keys) ? Number(keys) : 0;
  if (!isPowerOfTwo(keyCount)) throw new CryptError('Bad cipher key count specification', 'cipher', text);
  let [chain, after] = rest === undefined ? [undefined, undefined] : splitOnce(rest, '-');
  let [iv, ivOptions] = after === undefined ? [undefined, undefined] : splitOnce(after, ':');
  // The original mapping format: a cipher's name alone means cbc-plain.
  if (chain === undefined || (chain === 'plain' && iv === undefined)) {
    chain = 'cbc';
    iv = 'plain';
  }
  if (chain !== 'ecb' && iv === undefined) throw new CryptError('IV mechanism required', 'cipher', text);
  return finish(`${chain}(${cipher})`, iv, ivOptions, keyCount, text);
}

function parseNew(text: string): CipherSpec {
  let name = text.slice('capi:'.length);
  const cut = (mark: string) => {
    const at = name.lastIndexOf(mark);
    if (at < 0) return undefined;
    const tail = name.slice(at + 1);
    name = name.slice(0, at);
    return tail;
  };
  // The options go first: a digest's name may hold a '-'.
  const ivOptions = cut(':');
  const iv = cut('-');
  return finish(name, iv, ivOptions, iv === 'lmk' ? 64 : 1, text);
}

function finish(
  cipherName: string,
  iv: string | undefined,
  ivOptions: string | undefined,
  keyCount: number,
  text: string,
) {
  if (iv === 'essiv' && ivOptions === undefined)
    throw new CryptError('Digest algorithm missing for ESSIV mode', 'cipher', text);
  const apiName = iv === 'essiv' ? `essiv(${cipherName},${ivOptions})` : cipherName;
  if (apiName.length > longestName) throw new CryptError('Cannot allocate cipher strings', 'cipher', text);
  return { apiName, cipherName, ivMode: iv as IvModeName | undefined, ivOptions, keyCount };
}

/**
 * The IV mode in force for a cipher with an IV of `ivSize` bytes: none where it has no IV, whatever was asked for.
 * Source: drivers/md/dm-crypt.c:crypt_ctr_ivmode. @throws CryptError
 */
export function ivModeOf(spec: CipherSpec, ivSize: number): IvModeName | undefined {
  if (ivSize === 0 || spec.ivMode === undefined) return undefined;
  if (!ivModes.includes(spec.ivMode))
    throw new CryptError('Invalid IV mode', 'cipher', `'${spec.ivMode}' is none of ${ivModes.join(', ')}`);
  return spec.ivMode;
}

/** The block cipher innermost in a crypto API name: 'aes' of 'cbc(aes)', as crypto/essiv.c finds it. */
export function blockCipherOf(apiName: string): string {
  const open = apiName.lastIndexOf('(');
  const close = apiName.indexOf(')', open);
  return open < 0 ? apiName : apiName.slice(open + 1, close < 0 ? undefined : close);
}

function splitOnce(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + mark.length)];
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && value < 2 ** 32 && Number.isInteger(Math.log2(value));
}

/** CRYPTO_MAX_ALG_NAME, less the end of the string. */
const longestName = 127;
