import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as check from './check.js';
import { findCorpus } from './corpus.js';
import { provider, requireAlgorithm, sample, skip } from './provider.js';
import { parseCamellia, parseResponseFile, type Vector } from './response-file.js';

let checked = 0;
let folder = '';
let reason: string | undefined;

interface File {
  path: string;
  type: 'hash' | 'skcipher' | 'aead';
  name: string;
  /** The field that makes a paragraph a vector. */
  result: string;
  check: check.Check;
  /** How many vectors there are: fewer would mean that the file was not understood. */
  least: number;
  parse?: (text: string) => Vector[];
  /** Which vectors are of whole bytes. */
  keep?: (vector: Vector) => boolean;
}

function vectorFile(file: File): void {
  it(`${file.name}: ${file.path}`, function () {
    if (reason) skip(this, reason);
    requireAlgorithm(this, file.type, file.name);
    const text = readFileSync(join(folder, file.path), 'latin1');
    const all = (file.parse ?? ((content) => parseResponseFile(content, file.result)))(text);
    const vectors = file.keep ? all.filter(file.keep) : all;
    expect(vectors).to.have.lengthOf.at.least(file.least);
    sample(vectors).forEach((vector, index) => {
      try {
        file.check(provider, vector, index);
      } catch (error) {
        throw new Error(`${vector}: ${(error as Error).message}`, { cause: error });
      }
      checked++;
    });
  });
}

function monteFile(path: string, name: string, width: number): void {
  it(`${name}: ${path}`, function () {
    if (reason) skip(this, reason);
    requireAlgorithm(this, 'hash', name);
    const vectors = parseResponseFile(readFileSync(join(folder, path), 'latin1'), 'MD');
    expect(vectors).to.have.length(100);
    const run = check.monteCarlo(name, width);
    const pairs = vectors.map((vector, index) => ({
      vector,
      seed: index ? vectors[index - 1]!.bytes('MD') : vector.bytes('Seed'),
    }));
    // 1000 digests each: fewer of them where it is slow.
    for (const { vector, seed } of provider === 'kernel' ? pairs.slice(0, 2) : pairs) {
      run(provider, seed, vector.bytes('MD'));
      checked++;
    }
  });
}

const aesSizes = ['128', '192', '256'];

describe(`vectors on the ${provider}`, function () {
  this.timeout(600_000);
  before(async () => {
    const corpus = await findCorpus();
    if ('folder' in corpus) folder = corpus.folder;
    else reason = corpus.reason;
  });

  const blocks = (path: string, name: string, least: number) =>
    vectorFile({ path, type: 'skcipher', name, result: 'CIPHERTEXT', check: check.modeOfBlocks(name), least });

  for (const [folderName, prefix, name] of [
    ['CBC', 'CBC', 'cbc(aes)'],
    ['ECB', 'ECB', 'ecb(aes)'],
    ['OFB', 'OFB', 'ofb(aes)'],
    ['CFB', 'CFB128', 'cfb(aes)'],
  ] as const)
    for (const kind of ['GFSbox', 'KeySbox', 'MMT', 'VarKey', 'VarTxt'])
      for (const size of aesSizes) blocks(`ciphers/AES/${folderName}/${prefix}${kind}${size}.rsp`, name, 5);
  for (const size of aesSizes) blocks(`ciphers/AES/CTR/aes-${size}-ctr.txt`, 'ctr(aes)', 3);

  for (const [mode, files] of [
    ['cbc', 'CBC/TCBC'],
    ['ecb', 'ECB/TECB'],
    ['ofb', 'OFB/TOFB'],
    ['cfb', 'CFB/TCFB64'],
  ])
    for (const kind of ['MMT1', 'MMT2', 'MMT3', 'invperm', 'permop', 'subtab', 'varkey', 'vartext'])
      blocks(`ciphers/3DES/${files}${kind}.rsp`, `${mode}(des3_ede)`, 10);

  for (const mode of ['cbc', 'cfb', 'ctr', 'ecb', 'ofb'])
    blocks(`ciphers/SM4/draft-ribose-cfrg-sm4-10-${mode}.txt`, `${mode}(sm4)`, 2);
  for (const mode of ['cbc', 'cfb', 'ofb']) blocks(`ciphers/Camellia/camellia-${mode}.txt`, `${mode}(camellia)`, 12);
  for (const size of aesSizes)
    vectorFile({
      path: `ciphers/Camellia/camellia-${size}-ecb.txt`,
      type: 'skcipher',
      name: 'ecb(camellia)',
      result: '',
      check: check.modeOfBlocks('ecb(camellia)'),
      least: 1280,
      parse: parseCamellia,
    });

  for (const tweak of ['tweak-128hexstr', 'tweak-dataunitseqno'])
    for (const size of ['128', '256'])
      vectorFile({
        path: `ciphers/AES/XTS/${tweak}/XTSGenAES${size}.rsp`,
        type: 'skcipher',
        name: 'xts(aes)',
        result: 'CT',
        check: check.xts,
        least: 600,
        keep: (vector) => vector.number('DataUnitLen') % 8 === 0,
      });

  vectorFile({
    path: 'ciphers/ChaCha20/rfc7539.txt',
    type: 'skcipher',
    name: 'chacha20',
    result: 'CIPHERTEXT',
    check: check.chacha20,
    least: 3,
  });

  for (const size of aesSizes) {
    for (const kind of ['gcmDecrypt', 'gcmEncryptExtIV'])
      vectorFile({
        path: `ciphers/AES/GCM/${kind}${size}.rsp`,
        type: 'aead',
        name: 'gcm(aes)',
        result: 'Tag',
        check: check.gcm,
        least: 7875,
      });
    for (const kind of ['DVPT', 'VADT', 'VNT', 'VPT', 'VTT'])
      vectorFile({
        path: `ciphers/AES/CCM/${kind}${size}.rsp`,
        type: 'aead',
        name: 'ccm(aes)',
        result: 'CT',
        check: check.ccm,
        least: 60,
      });
  }
  for (const [path, names, least] of [
    ['boringssl', { iv: 'NONCE', aad: 'AD', plain: 'IN', sealed: 'CT' }, 10],
    ['openssl', { iv: 'IV', aad: 'AAD', plain: 'Plaintext', sealed: 'Ciphertext' }, 4],
  ] as const)
    vectorFile({
      path: `ciphers/ChaCha20Poly1305/${path}.txt`,
      type: 'aead',
      name: 'rfc7539(chacha20,poly1305)',
      result: 'Tag',
      check: check.chachaPoly(names),
      least,
    });

  const digests = (path: string, name: string, least: number) =>
    vectorFile({ path, type: 'hash', name, result: 'MD', check: check.digest(name), least });
  for (const [path, name] of [
    ['SHA1/SHA1', 'sha1'],
    ['SHA2/SHA224', 'sha224'],
    ['SHA2/SHA256', 'sha256'],
    ['SHA2/SHA384', 'sha384'],
    ['SHA2/SHA512', 'sha512'],
    ['SHA2/SHA512_224', 'sha512-224'],
    ['SHA2/SHA512_256', 'sha512-256'],
    ['SHA3/SHA3_224', 'sha3-224'],
    ['SHA3/SHA3_256', 'sha3-256'],
    ['SHA3/SHA3_384', 'sha3-384'],
    ['SHA3/SHA3_512', 'sha3-512'],
  ] as const) {
    digests(`hashes/${path}ShortMsg.rsp`, name, 60);
    digests(`hashes/${path}LongMsg.rsp`, name, 60);
    monteFile(`hashes/${path}Monte.rsp`, name, path.startsWith('SHA3') ? 1 : 3);
  }
  digests('hashes/MD5/rfc-1321.txt', 'md5', 7);
  digests('hashes/SM3/oscca.txt', 'sm3', 4);
  digests('hashes/blake2/blake2b.txt', 'blake2b-512', 6);
  digests('hashes/blake2/blake2s.txt', 'blake2s-256', 6);
  digests('hashes/ripemd160/ripevectors.txt', 'rmd160', 8);

  for (const [path, name] of [
    ['rfc-2202-md5', 'md5'],
    ['rfc-2202-sha1', 'sha1'],
    ['rfc-2286-ripemd160', 'rmd160'],
    ['rfc-4231-sha224', 'sha224'],
    ['rfc-4231-sha256', 'sha256'],
    ['rfc-4231-sha384', 'sha384'],
    ['rfc-4231-sha512', 'sha512'],
  ] as const)
    vectorFile({
      path: `HMAC/${path}.txt`,
      type: 'hash',
      name: `hmac(${name})`,
      result: 'MD',
      check: check.hmac(name),
      least: 6,
    });
  for (const [path, name] of [
    ['aes128', 'aes'],
    ['aes192', 'aes'],
    ['aes256', 'aes'],
    ['3des', 'des3_ede'],
  ] as const)
    vectorFile({
      path: `CMAC/nist-800-38b-${path}.txt`,
      type: 'hash',
      name: `cmac(${name})`,
      result: 'OUTPUT',
      check: check.cmac(name),
      least: 4,
    });

  it('at least some vectors were checked', () => {
    expect(checked, reason).to.be.greaterThan(0);
  });
});
