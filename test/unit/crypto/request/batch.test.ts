import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { binding, libraryKind, type OpHandle, type TfmHandle } from '../../../../lib/base/binding.js';
import { AlgError, Batch, openLanes, Tfm } from '../../../../lib/index.js';

const provider = 'library' as const;
const key = Buffer.alloc(32, 7);
const unitSize = 512;

describe('Batch, memory that is used twice', () => {
  const lanes = openLanes(2);
  const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: lanes });
  const hash = new Tfm('hash', 'sha256', { provider, engine: lanes });
  const memory = new Uint8Array(16 * unitSize);
  const ivs = new Uint8Array(4 * 16);
  const view = (from: number, length = 4 * unitSize) => memory.subarray(from, from + length);
  const direction = 'encrypt' as const;
  after(() => {
    tfm.close();
    hash.close();
    lanes.close();
  });

  for (const shift of [1, 16, unitSize, 3 * unitSize, 4 * unitSize - 1])
    it(`a cipher's dst shifted by ${shift} bytes against src, either way, is refused`, () => {
      for (const [src, dst] of [
        [view(0), view(shift)],
        [view(shift), view(0)],
      ] as const)
        expect(() => new Batch(tfm, { direction, unitSize, ivs, src, dst })).to.throw(
          RangeError,
          'dst: expected the bytes of src or others, got some that overlap src',
        );
    });

  it("a cipher's dst in place, or right behind src, is as good as any", async () => {
    const expected = Buffer.concat(
      [0, 1, 2, 3].map((unit) =>
        createCipheriv('aes-256-cbc', key, ivs.subarray(0, 16))
          .setAutoPadding(false)
          .update(Buffer.alloc(unitSize, unit)),
      ),
    );
    for (const at of [0, 4 * unitSize]) {
      for (const unit of [0, 1, 2, 3]) view(unit * unitSize, unitSize).fill(unit);
      await tfm.batch({ direction, unitSize, ivs, src: view(0), dst: view(at) }).run();
      expect(Buffer.from(view(at))).to.deep.equal(expected);
    }
  });

  it('what a unit writes is no input of another: IVs, salts, the message of a hash, the status', () => {
    const dst = view(0);
    const other = view(8 * unitSize);
    const digests = view(2 * unitSize, 4 * 32);
    for (const [make, what] of [
      [() => tfm.batch({ direction, unitSize, ivs: dst.subarray(0, 64), src: other, dst }), /apart from ivs/],
      [() => hash.batch({ direction, unitSize, ivs: null, src: dst, dst: digests }), /apart from src/],
      [
        () =>
          hash.batch({
            direction,
            unitSize,
            ivs: null,
            src: other,
            dst: digests,
            salt: { bytes: digests.subarray(0, 8), place: 'first' },
          }),
        /apart from salt/,
      ],
      [
        () => tfm.batch({ direction, unitSize, ivs, src: other, dst, status: new Int32Array(memory.buffer, 0, 4) }),
        /status: expected memory of its own/,
      ],
    ] as const)
      expect(make).to.throw(RangeError, what);
  });

  it('a batch whose tfm is closed ends with EBADF, however it is run', async () => {
    const closed = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: lanes });
    const batch = closed.batch({ direction, unitSize, ivs, src: view(0), dst: view(0) });
    closed.close();
    expect(() => batch.runSync()).to.throw(AlgError, /EBADF/);
    expect(await batch.run().catch((error: AlgError) => error.code)).to.equal('EBADF');
    expect(batch.submit(() => {})).to.equal('done');
    expect(batch.failure).to.include({ code: 'EBADF' });
  });
});

describe('numbers that native code would divide by', () => {
  const native = binding();
  const none = new Uint8Array(0);
  const some = new Uint8Array(64);

  it('no units, no strides, no lanes, no depth, no limit', () => {
    const tfm = native.library_open(libraryKind.digest, 'SHA256') as TfmHandle;
    const op = native.op_open(tfm) as OpHandle;
    for (const status of [new Int32Array(0), new Int32Array(1), new Int32Array(3)])
      for (const src of [none, some])
        for (const dst of [none, some])
          for (const ivs of [null, none, some])
            for (const strides of [
              [0, 0],
              [0, 32],
              [64, 0],
              [16, 0],
              [1, 1],
            ] as const) {
              const result = native.batch_run(tfm, 0, ivs, src, dst, strides[0], strides[1], status, null);
              expect(result).to.be.within(-22, status.length * 32);
              if (status.length === 0) expect(result).to.equal(-22);
            }
    expect(native.tfm_set_limit(tfm, 0)).to.equal(-22);
    expect(native.lanes_open(0, () => {}, new Float64Array(5), 0)).to.equal(-22);
    expect(native.aio_open(0, () => {}, new Float64Array(5))).to.equal(-22);
    expect(
      native.lanes_open(1, () => {}, new Float64Array(4), 0),
      'a ring without room',
    ).to.equal(-22);
    expect(native.bytes_misalignment(some, 0)).to.equal(-22);
    for (const roots of [0, 1, 25]) expect(native.rs_open(roots, 0)).to.equal(-22);
    const code = native.rs_open(2, 0) as never;
    for (const [codewords, columns] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 2],
    ] as const)
      expect(native.parity_open(code, codewords, columns)).to.equal(-22);
    const bytes = new Uint8Array(8) as never;
    expect(native.batch_run(tfm, 0, null, some, new Uint8Array(256), 8, 32, bytes, null), 'a status of bytes').to.equal(
      -22,
    );
    expect(
      native.rs_decode(
        code,
        new Uint8Array(253),
        new Uint8Array(2),
        253,
        none,
        new Uint8Array(1) as never,
        new Uint32Array(255),
      ),
      'of bytes',
    ).to.equal(-22);
    expect(
      native.rs_decode(
        code,
        new Uint8Array(253),
        new Uint8Array(2),
        253,
        none,
        new Int16Array(1),
        new Uint8Array(255) as never,
      ),
      'changed of bytes',
    ).to.equal(-22);
    const words = [none, none, 0, none, new Int16Array(0), new Uint32Array(255)] as const;
    expect(native.rs_decode(code, ...words)).to.equal(-22);
    native.op_close(op);
    native.tfm_close(tfm);
  });
});
