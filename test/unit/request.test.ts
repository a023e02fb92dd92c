import { expect } from 'chai';
import { AlgError, Tfm } from '../../lib/index.js';

const key = new Uint8Array(16);
const provider = 'library' as const;

/** A detached ArrayBuffer's bytes: they look like none. */
function detached(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

function resizable(size: number): Uint8Array {
  const Resizable = ArrayBuffer as unknown as new (size: number, options: { maxByteLength: number }) => ArrayBuffer;
  return new Uint8Array(new Resizable(size, { maxByteLength: 2 * size }));
}

describe('Request, what it refuses', () => {
  const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: 'sync' });
  const request = tfm.request();
  const good = () => ({
    direction: 'encrypt' as const,
    iv: new Uint8Array(16),
    src: new Uint8Array(32),
    dst: new Uint8Array(32),
  });
  after(() => tfm.close());
  afterEach(() => {
    Object.assign(request, good());
    expect(request.runSync()).to.equal(32);
  });

  for (const field of ['src', 'dst', 'iv'] as const)
    for (const [what, value, message] of [
      ['a string', 'x', /: expected a Uint8Array or Buffer, got string/],
      ['an array', [1, 2], /: expected a Uint8Array or Buffer, got Array/],
      ['other numbers', new Uint16Array(8), /: expected a Uint8Array or Buffer, got Uint16Array/],
      [
        'shared memory',
        new Uint8Array(new SharedArrayBuffer(16)),
        /: expected bytes that are not shared, got SharedArrayBuffer/,
      ],
      ['resizable memory', resizable(16), /: expected bytes of fixed size, got a resizable ArrayBuffer/],
      ['detached memory', detached(16), /: expected bytes, got a detached ArrayBuffer/],
    ] as const)
      it(`${field}: ${what}`, () => {
        expect(() => Object.assign(request, { [field]: value })).to.throw(TypeError, message);
      });

  it('memory detached after it was set', () => {
    const src = new Uint8Array(32);
    Object.assign(request, { ...good(), src });
    structuredClone(src.buffer, { transfer: [src.buffer] });
    expect(() => request.runSync()).to.throw(RangeError, /dst: expected 0 bytes for a src of 0, got 32/);
    request.dst = new Uint8Array(0);
    expect(() => request.runSync()).to.throw(TypeError, /src: expected bytes, got a detached ArrayBuffer/);
  });

  it('a salt of a cipher, or one that is none', () => {
    const salt = { bytes: new Uint8Array(8), place: 'first' } as const;
    expect(() => Object.assign(request, { salt })).to.throw(TypeError, 'salt: expected none for a skcipher');
    using hash = new Tfm('hash', 'sha256', { provider });
    const salted = hash.request();
    expect(() => Object.assign(salted, { salt: { ...salt, bytes: 'x' } })).to.throw(TypeError, /salt\.bytes: /);
    expect(() => Object.assign(salted, { salt: { ...salt, place: 'middle' } })).to.throw(/salt\.place: /);
    expect(salted.salt).to.equal(undefined);
  });

  it('a result of another size', () => {
    Object.assign(request, { ...good(), dst: new Uint8Array(31) });
    expect(() => request.runSync()).to.throw(RangeError, 'dst: expected 32 bytes for a src of 32, got 31');
    expect(() => request.submit(() => {})).to.throw(RangeError, /dst/);
  });

  it('bytes shifted against each other; in place is fine', () => {
    const memory = new Uint8Array(64);
    Object.assign(request, { ...good(), src: memory.subarray(0, 32), dst: memory.subarray(16, 48) });
    expect(() => request.runSync()).to.throw(
      RangeError,
      'dst: expected the bytes of src or others, got some that overlap src',
    );
    request.dst = memory.subarray(32, 64);
    expect(request.runSync()).to.equal(32);
    request.dst = memory.subarray(0, 32);
    expect(request.runSync()).to.equal(32);
  });

  it('less than whole blocks, with the cause', () => {
    Object.assign(request, { ...good(), src: new Uint8Array(17), dst: new Uint8Array(17) });
    expect(() => request.runSync())
      .to.throw(AlgError)
      .with.property('code', 'EINVAL');
  });

  it('a direction or a length that is none', () => {
    expect(() => Object.assign(request, { direction: 'both' })).to.throw(
      TypeError,
      /direction: expected encrypt, decrypt, got both/,
    );
    expect(() => Object.assign(request, { assocLength: -1 })).to.throw(
      RangeError,
      /assocLength: expected a whole number/,
    );
  });

  it('an AEAD shorter than its tag', () => {
    const aead = new Tfm('aead', 'gcm(aes)', { key, provider, authSize: 16 });
    const sealed = aead.request();
    Object.assign(sealed, {
      direction: 'decrypt',
      iv: new Uint8Array(12),
      src: new Uint8Array(15),
      dst: new Uint8Array(0),
    });
    expect(() => sealed.runSync()).to.throw(RangeError, 'src: expected at least 16 bytes, got 15');
    aead.close();
  });
});

describe('Tfm, what it refuses', () => {
  it("a key that libcrypto does not take, with the cause: XTS's of equal halves", () => {
    const open = () => new Tfm('skcipher', 'xts(aes)', { key: new Uint8Array(64), provider });
    expect(open).to.throw(
      AlgError,
      /EINVAL: the key is not one for this algorithm \(its size, a weak key, or equal halves\)/,
    );
  });
});

describe('Batch, what it refuses', () => {
  const tfm = new Tfm('skcipher', 'xts(aes)', { key: Uint8Array.from({ length: 32 }, (_, at) => at), provider });
  after(() => tfm.close());
  const good = {
    direction: 'encrypt',
    unitSize: 512,
    ivs: new Uint8Array(32),
    src: new Uint8Array(1024),
    dst: new Uint8Array(1024),
  } as const;
  for (const [what, fields, message] of [
    ['no units', { src: new Uint8Array(0) }, /src: expected one or more whole units of 512 bytes, got 0/],
    ['part of a unit', { src: new Uint8Array(1000) }, /src: expected one or more whole units/],
    ['another size of the result', { dst: new Uint8Array(512) }, /dst: expected 1024 bytes, got 512/],
    ['too few IVs', { ivs: new Uint8Array(16) }, /ivs: expected 2 IVs of 16 bytes, got 16/],
    ['no IVs', { ivs: null }, /ivs: expected 2 IVs of 16 bytes, got 0/],
    ['a unit of nothing', { unitSize: 0 }, /unitSize: expected a whole number from 1/],
  ] as const)
    it(what, () => {
      expect(() => tfm.batch({ ...good, ...fields })).to.throw(RangeError, message);
    });

  it('a change of its fields', () => {
    const batch = tfm.batch(good);
    expect(() => Object.assign(batch.fields, { src: new Uint8Array(1) })).to.throw(TypeError);
    expect(batch.runSync()).to.equal(1024);
    expect([...batch.status]).to.deep.equal([512, 512]);
  });
});
