import { nearest } from '../../base/nearest.js';
import { libraryNames } from './library.js';
import { type AlgType, algTypes } from './proc-crypto.js';

/** What kernels have and libcrypto has not, so that its name is no mistake. */
const kernelCiphers =
  'anubis|blowfish|cast5|cast6|fcrypt|khazad|seed|serpent|tea|twofish|xeta|xtea|des|sm4|aria|camellia|aes|des3_ede|cipher_null';
const kernelHashes =
  'blake2b-\\d+|blake2s-\\d+|crc32c?|crct10dif|ghash|md4|michael_mic|poly1305|polyval|streebog\\d+|vmac64|wp(256|384|512)|xxhash64';
const kernelTemplates =
  'adiantum|authenc|authencesn|cbcmac|ccm|cmac|ctr|cts|ecb|essiv|gcm|hctr2|hmac|lrw|pcbc|rfc\\d+|seqiv|xcbc|xctr|xts|cbc|cfb|ofb';
const kernelNames = new RegExp(
  `^((${kernelTemplates})\\(.+\\)|${kernelHashes}|${kernelCiphers}|x?chacha(12|20)|jitterentropy_rng|drbg_\\w+|.*-\\w*(generic|aesni|avx\\d*|ni|ce|neon|x86_64|asm)\\w*)$`,
);

/** OpenSSL's spelling of a cipher or hash as the kernel has it, or undefined. */
function fromOpenssl(name: string): string | undefined {
  const lower = name.toLowerCase();
  const [, cipher, mode] =
    /^(aes|camellia|aria|sm4|des-ede3)-?(?:128|192|256)?-(ecb|cbc|ctr|cfb|ofb|xts|gcm|ccm)$/.exec(lower) ?? [];
  if (mode) return `${mode}(${cipher === 'des-ede3' ? 'des3_ede' : cipher})`;
  if (lower === 'chacha20-poly1305') return 'rfc7539(chacha20,poly1305)';
  if (lower === 'ripemd160' || lower === 'rmd-160') return 'rmd160';
  const [, family, size] = /^(sha|sha3|blake2b|blake2s)[-_/]?(\d[-\d/]*)$/.exec(lower) ?? [];
  if (family === undefined) return undefined;
  return /^(sha3|blake2)/.test(family) ? `${family}-${size}` : `sha${size!.replace('/', '-')}`;
}

/** Cause and remedy for a name that is in no list of algorithms; undefined where a kernel may know it. */
export function unknownName(type: AlgType, name: string): string | undefined {
  const known = algTypes.flatMap((each) => libraryNames(each));
  if (known.includes(name) || kernelNames.test(name)) return undefined;
  const openssl = fromOpenssl(name);
  if (openssl !== undefined && known.includes(openssl))
    return `unknown name; the kernel's name of it is '${openssl}', and the size of the key says the rest`;
  const near = nearest(name, libraryNames(type)) ?? nearest(name, known);
  return `unknown name${near ? `; did you mean '${near}'?` : ''}; 'dmalg info' lists what there is`;
}
