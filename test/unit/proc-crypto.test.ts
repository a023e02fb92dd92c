import { expect } from 'chai';
import { findAlgorithm, parseProcCrypto } from '../../lib/crypto/provider/proc-crypto.js';

/** As Linux 6.1 and 6.12 write it: blocks in no order, each ended by an empty line. */
const text = `name         : cbc(aes)
driver       : cbc(aes-generic)
module       : cbc
priority     : 100
refcnt       : 1
selftest     : passed
internal     : no
type         : skcipher
async        : no
blocksize    : 16
min keysize  : 16
max keysize  : 32
ivsize       : 16
chunksize    : 16
walksize     : 16

name         : cbc(aes)
driver       : cbc-aes-aesni
module       : aesni_intel
priority     : 400
refcnt       : 1
selftest     : passed
internal     : no
type         : skcipher
async        : yes
blocksize    : 16
min keysize  : 16
max keysize  : 32
ivsize       : 16
chunksize    : 16
walksize     : 16

name         : __cbc(aes)
driver       : __cbc-aes-aesni
module       : aesni_intel
priority     : 999
refcnt       : 1
selftest     : passed
internal     : yes
type         : skcipher
async        : no
blocksize    : 16
min keysize  : 16
max keysize  : 32
ivsize       : 16
chunksize    : 16
walksize     : 16

name         : sha256
driver       : sha256-generic
module       : kernel
priority     : 100
refcnt       : 1
selftest     : passed
internal     : no
type         : shash
blocksize    : 64
digestsize   : 32

name         : gcm(aes)
driver       : generic-gcm-aesni
module       : aesni_intel
priority     : 400
refcnt       : 1
selftest     : passed
internal     : no
type         : aead
async        : yes
blocksize    : 1
ivsize       : 12
maxauthsize  : 16
geniv        : <none>

name         : aes
driver       : aes-generic
module       : aes_generic
priority     : 100
refcnt       : 1
selftest     : passed
internal     : no
type         : cipher
blocksize    : 16
min keysize  : 16
max keysize  : 32

name         : stdrng
driver       : drbg_nopr_hmac_sha512
module       : drbg
priority     : 221
refcnt       : 1
selftest     : passed
internal     : no
type         : rng
seedsize     : 0

`;

describe('/proc/crypto', () => {
  const list = parseProcCrypto(text);

  it('is read field by field', () => {
    expect(list).to.have.length(7);
    expect(list[1]).to.deep.equal({
      name: 'cbc(aes)',
      driver: 'cbc-aes-aesni',
      module: 'aesni_intel',
      priority: 400,
      kernelType: 'skcipher',
      type: 'skcipher',
      internal: false,
      async: true,
      blockSize: 16,
      minKeySize: 16,
      maxKeySize: 32,
      ivSize: 16,
      chunkSize: 16,
      digestSize: undefined,
      maxAuthSize: undefined,
    });
    expect(list[3]).to.include({ type: 'hash', kernelType: 'shash', digestSize: 32, ivSize: undefined });
    expect(list[4]).to.include({ type: 'aead', maxAuthSize: 16 });
    expect(list[5]).to.include({ type: undefined, kernelType: 'cipher' });
    expect(list[6]).to.include({ type: 'rng', name: 'stdrng' });
  });

  it('finds what the kernel would take', () => {
    expect(findAlgorithm(list, 'skcipher', 'cbc(aes)')?.driver).to.equal('cbc-aes-aesni');
    expect(findAlgorithm(list, 'skcipher', 'cbc(aes-generic)')?.driver).to.equal('cbc(aes-generic)');
    expect(findAlgorithm(list, 'hash', 'cbc(aes)')).to.equal(undefined);
    expect(findAlgorithm(list, 'skcipher', '__cbc-aes-aesni'), 'internal').to.equal(undefined);
    expect(findAlgorithm(list, 'skcipher', 'aes'), 'no type of AF_ALG').to.equal(undefined);
    expect(findAlgorithm([], 'hash', 'sha256')).to.equal(undefined);
  });

  it('may be empty, or end without an empty line', () => {
    expect(parseProcCrypto('')).to.deep.equal([]);
    expect(parseProcCrypto('\n\n')).to.deep.equal([]);
    expect(parseProcCrypto('name         : x\ntype         : rng')).to.have.length(1);
  });
});
