import { expect } from 'chai';
import { checkAttached, checkBytes, checkInteger, checkWord, wrongType } from '../../lib/base/bytes.js';
import { toBytes, withSecret } from '../../lib/crypto/stream/data.js';

type Growing = new (size: number, options: { maxByteLength: number }) => ArrayBuffer;

describe('argument checks', () => {
  it('take bytes of every size, at any offset', () => {
    for (const bytes of [new Uint8Array(0), Buffer.from('x'), new Uint8Array(new ArrayBuffer(8), 3, 2)])
      expect(() => checkBytes('src', bytes)).not.to.throw();
  });

  it('refuse what is no bytes, by name', () => {
    for (const [value, got] of [
      [null, 'null'],
      [undefined, 'undefined'],
      [5, 'number'],
      ['x', 'string'],
      [[1], 'Array'],
      [new ArrayBuffer(1), 'ArrayBuffer'],
      [new DataView(new ArrayBuffer(1)), 'DataView'],
      [new Uint16Array(1), 'Uint16Array'],
      [Object.create(null), 'object'],
    ] as const)
      expect(() => checkBytes('src', value as unknown as Uint8Array)).to.throw(
        TypeError,
        `src: expected a Uint8Array or Buffer, got ${got}`,
      );
  });

  it('refuse memory that may move or vanish under native code', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    expect(() => checkBytes('dst', shared)).to.throw(TypeError, 'dst: expected bytes that are not shared');
    const growing = new Uint8Array(new (ArrayBuffer as unknown as Growing)(4, { maxByteLength: 8 }));
    expect(() => checkBytes('dst', growing)).to.throw(TypeError, 'dst: expected bytes of fixed size');
    const detached = new Uint8Array(4);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => checkBytes('dst', detached)).to.throw(TypeError, 'dst: expected bytes, got a detached ArrayBuffer');
    expect(() => checkAttached('dst', detached)).to.throw(TypeError);
    expect(() => checkAttached('dst', new Uint8Array(0))).not.to.throw();
  });

  it('take whole numbers in a range only', () => {
    for (const value of [3, 4, 5]) expect(() => checkInteger('depth', value, 3, 5)).not.to.throw();
    for (const value of [2, 6, 3.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => checkInteger('depth', value, 3, 5)).to.throw(
        RangeError,
        `depth: expected a whole number from 3 to 5, got ${value}`,
      );
    expect(() => checkInteger('depth', '4' as unknown as number, 3, 5)).to.throw(TypeError, 'got string');
  });

  it('take one of a few words', () => {
    expect(() => checkWord('type', 'hash', ['hash', 'rng'])).not.to.throw();
    expect(() => checkWord('type', 'hsah', ['hash', 'rng'])).to.throw(TypeError, 'type: expected hash, rng, got hsah');
  });

  it('say what something is', () => {
    class Thing {}
    expect(wrongType('key', 'bytes', new Thing()).message).to.equal('key: expected bytes, got Thing');
  });
});

describe('data of people', () => {
  it('is taken without copying where it is bytes', () => {
    const bytes = Buffer.from('abc');
    expect(toBytes('data', bytes)).to.equal(bytes);
    const memory = new ArrayBuffer(8);
    expect(toBytes('data', new Uint32Array(memory, 4, 1))).to.deep.include({ byteOffset: 4, byteLength: 4 });
    expect(toBytes('data', memory).buffer).to.equal(memory);
  });

  it('is refused by name where it is not', () => {
    expect(() => toBytes('aad', 5 as unknown as string)).to.throw(TypeError, /^aad: expected .*, got number$/);
    expect(() => toBytes('aad', new Uint8Array(new SharedArrayBuffer(1)))).to.throw(TypeError, /not shared/);
    expect(() => toBytes('aad', 'x', 'no' as 'hex')).to.throw(TypeError, "aad's encoding: expected");
  });

  it('wipes its own copy of a secret, and not the caller’s bytes', () => {
    let copy: Uint8Array | undefined;
    withSecret('key', 'secret', (bytes) => {
      copy = bytes;
      expect(Buffer.from(bytes!).toString()).to.equal('secret');
    });
    expect([...copy!]).to.deep.equal([0, 0, 0, 0, 0, 0]);
    const own = Buffer.from('secret');
    expect(() =>
      withSecret('key', own, () => {
        throw new Error('x');
      }),
    ).to.throw('x');
    expect(own.toString()).to.equal('secret');
  });
});
