import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { expect } from 'chai';
import { binding, libraryKind, type OpHandle, type TfmHandle, unitFlag } from '../../../../lib/base/binding.js';
import { EBADF, EINVAL } from '../../../../lib/base/errno.js';
import { probeCarry } from '../../../../lib/crypto/request/carry.js';
import { AlgError, Tfm } from '../../../../lib/index.js';

const provider = 'library' as const;
const engine = 'sync' as const;
const key = Uint8Array.from({ length: 64 }, (_, at) => at);
const native = binding();

function opened(kind: number, name: string, keySize: number): [TfmHandle, OpHandle] {
  const tfm = native.library_open(kind, name) as TfmHandle;
  if (keySize > 0) expect(native.tfm_set_key(tfm, key.subarray(0, keySize))).to.equal(0);
  return [tfm, native.op_open(tfm) as OpHandle];
}

describe('ops of the library', () => {
  for (const [name, ivSize] of [
    ['gcm(aes)', 12],
    ['ccm(aes)', 16],
    ['rfc7539(chacha20,poly1305)', 12],
  ] as const)
    it(`${name}: of a forged message no plaintext is left in dst`, () => {
      using tfm = new Tfm('aead', name, { key: key.subarray(0, 32), provider, engine });
      const iv = new Uint8Array(ivSize).fill(3);
      const text = new Uint8Array(1000).fill(0x77);
      const sealed = new Uint8Array(8 + 1000 + 16);
      const request = tfm.request();
      Object.assign(request, { iv, assocLength: 8, src: Buffer.concat([new Uint8Array(8), text]), dst: sealed });
      request.runSync();
      for (const at of [8, 500, 1007, 1010]) {
        const forged = sealed.slice();
        forged[at]! ^= 1;
        const dst = new Uint8Array(8 + 1000).fill(0x77);
        Object.assign(request, { direction: 'decrypt', src: forged, dst });
        expect(() => request.runSync()).to.throw(AlgError, /EBADMSG/);
        expect(
          dst.subarray(8).every((byte) => byte === 0),
          `byte ${at} forged`,
        ).to.equal(true);
      }
      Object.assign(request, { src: sealed, dst: new Uint8Array(8 + 1000) });
      request.runSync();
      expect(request.dst.subarray(8)).to.deep.equal(text);
    });

  for (const [name, right] of [
    ['sha256', () => createHash('sha256')],
    ['sha3-256', () => createHash('sha3-256')],
    ['hmac(sha256)', () => createHmac('sha256', key.subarray(0, 32))],
  ] as const)
    it(`${name}: whole messages and pieces do not run into each other`, () => {
      using tfm = new Tfm('hash', name, {
        provider,
        engine,
        ...(name.startsWith('hmac') && { key: key.subarray(0, 32) }),
      });
      const request = tfm.request();
      const digest = (run: () => void) => {
        request.dst = new Uint8Array(32);
        run();
        return Buffer.from(request.dst);
      };
      const whole = (text: string) =>
        digest(() => {
          request.src = Buffer.from(text);
          request.runSync();
        });
      const expected = (text: string) => right().update(text).digest();
      expect(whole('one')).to.deep.equal(expected('one'));
      request.update(Buffer.from('tw'));
      request.update(Buffer.from('o'));
      expect(digest(() => request.final(request.dst))).to.deep.equal(expected('two'));
      request.update(Buffer.from('half of it'));
      expect(whole('three'), 'what was begun before is forgotten').to.deep.equal(expected('three'));
      request.update(Buffer.from('four'));
      expect(digest(() => request.final(request.dst))).to.deep.equal(expected('four'));
      request.update(Buffer.from('given up'));
      request.reset();
      expect(digest(() => request.final(request.dst))).to.deep.equal(expected(''));
      request.update(Buffer.from('fi'));
      const copy = request.clone();
      request.update(Buffer.from('ve'));
      copy.update(Buffer.from('fty'));
      expect(digest(() => request.final(request.dst))).to.deep.equal(expected('five'));
      expect(digest(() => copy.final(request.dst))).to.deep.equal(expected('fifty'));
    });

  it('a message in batches and by itself, with a salt in front', () => {
    using tfm = new Tfm('hash', 'sha512', { provider, engine });
    const src = new Uint8Array(3 * 100).fill(1);
    const salt = { bytes: new Uint8Array(5).fill(9), place: 'first' as const };
    const request = tfm.request();
    for (let round = 0; round < 2; round++) {
      const dst = new Uint8Array(3 * 64);
      tfm.batch({ direction: 'encrypt', unitSize: 100, ivs: null, src, dst, salt }).runSync();
      const right = createHash('sha512').update(salt.bytes).update(src.subarray(0, 100)).digest();
      for (const at of [0, 64, 128]) expect(Buffer.from(dst.subarray(at, at + 64))).to.deep.equal(right);
      Object.assign(request, { src: src.subarray(0, 7), dst: new Uint8Array(64) }).runSync();
      expect(Buffer.from(request.dst)).to.deep.equal(createHash('sha512').update(src.subarray(0, 7)).digest());
    }
  });

  it('tags have the sizes that the kernel takes, and no others', () => {
    for (const [kind, name, sizes] of [
      [libraryKind.gcm, 'AES-256-GCM', [4, 8, 12, 13, 14, 15, 16]],
      [libraryKind.ccm, 'AES-256-CCM', [4, 6, 8, 10, 12, 14, 16]],
      [libraryKind.chacha20poly1305, 'ChaCha20-Poly1305', [16]],
      [libraryKind.cipher, 'AES-256-CBC', []],
      [libraryKind.digest, 'SHA256', []],
    ] as const) {
      const tfm = native.library_open(kind, name) as TfmHandle;
      const taken = Array.from({ length: 70 }, (_, size) => size).filter(
        (size) => native.tfm_set_authsize(tfm, size) === 0,
      );
      expect(taken, name).to.deep.equal(sizes);
      native.tfm_close(tfm);
    }
  });

  it('keys have the size of their cipher', () => {
    for (const [kind, name, size] of [
      [libraryKind.cipher, 'AES-256-CBC', 32],
      [libraryKind.cipher, 'AES-256-XTS', 64],
      [libraryKind.gcm, 'AES-128-GCM', 16],
      [libraryKind.chacha20poly1305, 'ChaCha20-Poly1305', 32],
    ] as const) {
      const tfm = native.library_open(kind, name) as TfmHandle;
      const taken = Array.from({ length: 65 }, (_, length) => length).filter(
        (length) => native.tfm_set_key(tfm, key.subarray(0, length)) === 0,
      );
      expect(taken, name).to.deep.equal([size]);
      native.tfm_close(tfm);
    }
  });

  it('IVs have the size of their cipher, and results room for as much as the input', () => {
    for (const [name, keySize, ivSize, size] of [
      ['AES-256-CBC', 32, 16, 64],
      ['AES-256-CTR', 32, 16, 65],
      ['AES-256-XTS', 64, 16, 64],
      ['ChaCha20', 32, 16, 65],
      ['AES-256-ECB', 32, 0, 64],
    ] as const) {
      const [tfm, op] = opened(libraryKind.cipher, name, keySize);
      const run = (iv: number, src: number, dst: number) =>
        native.op_run(op, 1, new Uint8Array(iv), 0, new Uint8Array(src), new Uint8Array(dst), null);
      for (const iv of [0, 8, 12, 15, 16, 17, 32])
        expect(run(iv, size, size), `${name}, iv ${iv}`).to.equal(iv === ivSize ? size : -EINVAL);
      for (const dst of [0, 1, size - 1]) expect(run(ivSize, size, dst), `${name}, dst ${dst}`).to.equal(-EINVAL);
      expect(run(ivSize, size, size + 1)).to.equal(size);
      if (name === 'AES-256-XTS') for (const src of [1, 15]) expect(run(16, src, src)).to.equal(-EINVAL);
      if (/CBC|ECB/.test(name)) for (const src of [1, 15, 17]) expect(run(ivSize, src, src)).to.equal(-EINVAL);
      native.op_close(op);
      native.tfm_close(tfm);
    }
  });

  it('an AEAD has room for its associated data, its text and its tag', () => {
    for (const [kind, name, ivSize] of [
      [libraryKind.gcm, 'AES-256-GCM', 12],
      [libraryKind.ccm, 'AES-256-CCM', 16],
      [libraryKind.chacha20poly1305, 'ChaCha20-Poly1305', 12],
    ] as const) {
      const [tfm, op] = opened(kind, name, 32);
      const iv = new Uint8Array(ivSize).fill(3);
      const run = (flag: number, assoc: number, src: Uint8Array, dst: number) =>
        native.op_run(op, flag, iv, assoc, src, new Uint8Array(dst), null);
      const sealed = new Uint8Array(8 + 64 + 16);
      expect(native.op_run(op, 1, iv, 8, new Uint8Array(72), sealed, null), name).to.equal(88);
      for (const dst of [0, 8, 71, 72, 87])
        expect(run(1, 8, new Uint8Array(72), dst), `${name}, ${dst}`).to.equal(-EINVAL);
      for (const dst of [0, 8, 71]) expect(run(0, 8, sealed, dst), `${name}, back, ${dst}`).to.equal(-EINVAL);
      for (const src of [0, 8, 23])
        expect(run(0, 8, sealed.subarray(0, src), 88), `${name}, of ${src}`).to.equal(-EINVAL);
      for (const assoc of [73, 2 ** 31, 2 ** 32 - 1]) expect(run(1, assoc, new Uint8Array(72), 88)).to.equal(-EINVAL);
      expect(run(0, 8, sealed, 72)).to.equal(72);
      native.op_close(op);
      native.tfm_close(tfm);
    }
  });

  it('a batch stays within its src, its dst and its IVs', () => {
    const [tfm, op] = opened(libraryKind.cipher, 'AES-256-CBC', 32);
    const run = (ivs: number, src: number, dst: number, units: number, stride = 64) =>
      native.batch_run(
        tfm,
        1,
        new Uint8Array(ivs),
        new Uint8Array(src),
        new Uint8Array(dst),
        stride,
        stride,
        new Int32Array(units),
        null,
      );
    expect(run(48, 192, 192, 3)).to.equal(192);
    for (const wrong of [
      [48, 191, 192, 3],
      [48, 192, 191, 3],
      [47, 192, 192, 3],
      [50, 192, 192, 3],
      [48, 64, 192, 3],
      [48, 192, 64, 3],
      [16, 64, 64, 2 ** 20],
    ] as const)
      expect(run(...(wrong as [number, number, number, number])), String(wrong)).to.equal(-EINVAL);
    native.op_close(op);
    native.tfm_close(tfm);
  });

  it('handles that are closed are EBADF to every function', () => {
    const [tfm, op] = opened(libraryKind.digest, 'SHA256', 0);
    const [src, dst] = [new Uint8Array(64), new Uint8Array(32)];
    native.op_close(op);
    native.tfm_close(tfm);
    for (const result of [
      native.op_close(op),
      native.op_reset(op),
      native.op_max_request(op),
      native.op_update(op, src),
      native.op_final(op, dst),
      native.op_clone(op),
      native.op_run(op, 0, null, 0, src, dst, null),
      native.op_stage(op, 0, null, 0, src, dst, null),
      native.op_open(tfm),
      native.tfm_close(tfm),
      native.tfm_set_key(tfm, src),
      native.tfm_set_authsize(tfm, 16),
      native.tfm_set_limit(tfm, 16),
      native.tfm_set_key_serial(tfm, 1),
      native.batch_run(tfm, 0, null, src, dst, 64, 32, new Int32Array(1), null),
    ])
      expect(result).to.equal(-EBADF);
  });

  it('a request goes on with a key that has been changed', () => {
    using tfm = new Tfm('skcipher', 'cbc(aes)', { provider, engine, key: key.subarray(0, 32) });
    const request = tfm.request();
    const iv = new Uint8Array(16);
    Object.assign(request, { iv, src: new Uint8Array(64), dst: new Uint8Array(64) });
    for (const fresh of [key.subarray(0, 32), key.subarray(16, 32), key.subarray(24, 48)]) {
      tfm.setKey(fresh);
      request.runSync();
      const right = createCipheriv(`aes-${fresh.length * 8}-cbc`, fresh, iv).setAutoPadding(false);
      expect(Buffer.from(request.dst), `${fresh.length} bytes`).to.deep.equal(right.update(new Uint8Array(64)));
    }
  });

  it('where nothing runs, nothing carries', () => {
    const [tfm, op] = opened(libraryKind.cipher, 'AES-256-CBC', 32);
    native.op_close(op);
    const open = () => native.op_open(tfm) as OpHandle;
    expect(probeCarry(open, 16, 16)).to.equal(true);
    expect(probeCarry(open, 8, 16), 'an IV of a size that is refused').to.equal(false);
    native.tfm_close(tfm);
    const [ecb, other] = opened(libraryKind.cipher, 'AES-256-ECB', 32);
    native.op_close(other);
    expect(probeCarry(() => native.op_open(ecb) as OpHandle, 16, 16)).to.equal(false);
    native.tfm_close(ecb);
    const [gcm, third] = opened(libraryKind.gcm, 'AES-256-GCM', 32);
    native.op_close(third);
    expect(
      probeCarry(() => native.op_open(gcm) as OpHandle, 12, 1),
      'no room for a tag',
    ).to.equal(false);
    native.tfm_close(gcm);
  });

  it('flags say the same to both sides', () => {
    expect(unitFlag).to.deep.equal({ decrypt: 0, encrypt: 1, stagedData: 2, stagedAll: 4, saltLast: 8 });
  });
});
