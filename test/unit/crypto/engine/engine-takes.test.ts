import { expect } from 'chai';
import {
  binding,
  type EngineHandle,
  libraryKind,
  type OpHandle,
  ringEntry,
  type TfmHandle,
} from '../../../../lib/base/binding.js';
import { EBADF, EBUSY, EOPNOTSUPP } from '../../../../lib/base/errno.js';
import { SharedOp } from '../../../../lib/crypto/request/shared-op.js';
import { AlgError, type Engine, openAio, openLanes, Tfm } from '../../../../lib/index.js';

const key = Uint8Array.from({ length: 64 }, (_, at) => at);

/** Of the library's algorithms one of each kind: its type, and bytes of key and IV. */
const kinds = [
  ['hash', 'sha256', 0, 0],
  ['hash', 'sha512', 0, 0],
  ['hash', 'hmac(sha256)', 32, 0],
  ['hash', 'cmac(aes)', 16, 0],
  ['skcipher', 'cbc(aes)', 32, 16],
  ['skcipher', 'ctr(aes)', 32, 16],
  ['skcipher', 'xts(aes)', 64, 16],
  ['skcipher', 'chacha20', 32, 16],
  ['skcipher', 'ecb(cipher_null)', 0, 0],
  ['aead', 'gcm(aes)', 32, 12],
  ['aead', 'ccm(aes)', 32, 16],
  ['aead', 'rfc7539(chacha20,poly1305)', 32, 12],
  ['rng', 'stdrng', 0, 0],
] as const;

/** The engine under another name: what a program of its own may hand in. */
function disguised(engine: Engine): Engine {
  return {
    name: 'manual',
    depth: engine.depth,
    submit: (work, done) => engine.submit(work, done),
    room: () => engine.room(),
    close: () => engine.close(),
  };
}

function requestOf(tfm: Tfm, ivSize: number) {
  const request = tfm.request();
  const size = { hash: tfm.info.digestSize ?? 0, skcipher: 64, aead: 80, rng: 64 }[tfm.type];
  const iv = ivSize ? new Uint8Array(ivSize).fill(3) : null;
  return Object.assign(request, { src: new Uint8Array(tfm.type === 'rng' ? 0 : 64), dst: new Uint8Array(size), iv });
}

describe('which engine takes which op', () => {
  /** Native code holds an engine's callback weakly while nothing is in flight. */
  const kept: unknown[] = [];
  const aio = openAio(4);
  const lanes = openLanes(2);
  after(() => {
    aio.close();
    lanes.close();
  });

  for (const [type, name, keySize, ivSize] of kinds) {
    const options = {
      provider: 'library' as const,
      ...((keySize > 0 || type === 'skcipher') && { key: key.subarray(0, keySize) }),
    };

    it(`${name} of the library: lanes run it`, async () => {
      using tfm = new Tfm(type, name, { ...options, engine: disguised(lanes) });
      expect(await requestOf(tfm, ivSize).run()).to.be.greaterThan(0);
    });

    it(`${name} of the library: AIO refuses it, by its name and under another`, async () => {
      expect(() => new Tfm(type, name, { ...options, engine: 'aio' })).to.throw(AlgError, /libcrypto has no AIO/);
      expect(() => new Tfm(type, name, { ...options, engine: aio })).to.throw(AlgError, /libcrypto has no AIO/);
      using tfm = new Tfm(type, name, { ...options, engine: disguised(aio) });
      const request = requestOf(tfm, ivSize);
      expect(await outcome(request.run())).to.equal('ENOTSUP');
      expect(request.runSync(), 'the request is as good as before').to.be.greaterThan(0);
      if (type === 'hash' || type === 'skcipher') {
        const ivs = ivSize ? new Uint8Array(2 * ivSize) : null;
        const dst = new Uint8Array(2 * (tfm.info.digestSize || 64));
        const batch = tfm.batch({ direction: 'encrypt', unitSize: 64, ivs, src: new Uint8Array(128), dst });
        expect(await outcome(batch.run())).to.equal('ENOTSUP');
      }
    });
  }

  it('native code refuses it, whoever asks', () => {
    const native = binding();
    const ring = new Float64Array(ringEntry);
    const engine = native.aio_open(2, () => {}, ring) as EngineHandle;
    const tfm = native.library_open(libraryKind.digest, 'SHA256') as TfmHandle;
    const op = native.op_open(tfm) as OpHandle;
    const [src, dst, status] = [new Uint8Array(64), new Uint8Array(32), new Int32Array(1)];
    // Flag 4: with everything staged, which is how an op in flight may be submitted again.
    for (const flags of [0, 1, 2, 4])
      expect(native.engine_submit(engine, 0, op, flags, null, 0, src, dst, null)).to.equal(-EOPNOTSUPP);
    expect(native.engine_submit_batch(engine, 0, tfm, 0, null, src, dst, 64, 32, status, null)).to.equal(-EOPNOTSUPP);
    const code = native.rs_open(2, 0) as never;
    const words = [code, new Uint8Array(253), new Uint8Array(2), 253, new Uint8Array(), new Int16Array(1)] as const;
    expect(native.engine_submit_rs_decode(engine, 0, ...words, new Uint32Array(255))).to.equal(-EOPNOTSUPP);
    const parity = native.parity_open(code, 8, 8) as never;
    expect(native.engine_submit_parity_add(engine, 0, parity, 0, new Uint8Array(8))).to.equal(-EOPNOTSUPP);
    // A handle of one kind is none of another's.
    for (const wrong of [tfm, op, code, parity, engine, {}, 1] as never[]) {
      if (wrong !== (engine as never)) {
        expect(native.engine_submit(wrong, 0, op, 0, null, 0, src, dst, null)).to.equal(-EBADF);
        expect(native.engine_close(wrong)).to.equal(-EBADF);
      }
      if (wrong !== (op as never)) {
        expect(native.engine_submit(engine, 0, wrong, 0, null, 0, src, dst, null)).to.equal(-EBADF);
        expect(native.op_run(wrong, 0, null, 0, src, dst, null)).to.equal(-EBADF);
        expect(native.op_update(wrong, src)).to.equal(-EBADF);
      }
      if (wrong !== (tfm as never)) {
        expect(native.op_open(wrong)).to.equal(-EBADF);
        expect(native.batch_run(wrong, 0, null, src, dst, 64, 32, status, null)).to.equal(-EBADF);
      }
      if (wrong !== code)
        expect(
          native.rs_decode(wrong, ...(words.slice(1) as [never, never, never, never, never]), new Uint32Array(255)),
        ).to.equal(-EBADF);
      if (wrong !== parity) expect(native.parity_read(wrong, 0, dst)).to.equal(-EBADF);
    }
    native.parity_close(parity);
    native.op_close(op);
    native.tfm_close(tfm);
    native.engine_close(engine);
  });

  it('an op that several requests share is for AIO alone', () => {
    using tfm = new Tfm('skcipher', 'cbc(aes)', { key: key.subarray(0, 32), provider: 'library', engine: lanes });
    expect(() => new SharedOp(tfm)).to.throw(TypeError, /tfm: expected the engine aio, got lanes/);
    const native = binding();
    const op = tfm.openOp();
    const [src, dst, iv] = [new Uint8Array(64), new Uint8Array(64), new Uint8Array(16)];
    expect(native.op_stage(op, 4, iv, 0, src, dst, null)).to.equal(-EOPNOTSUPP);
    native.op_close(op);
  });

  it('an op in flight is refused to everybody else, and not freed by who was refused', async () => {
    const native = binding();
    const delivered: ((count: number) => void)[] = [];
    const ring = new Float64Array(ringEntry);
    const deliver = (count: number) => delivered.shift()?.(count);
    kept.push(deliver, ring);
    const engine = native.lanes_open(2, deliver, ring, 0) as EngineHandle;
    const tfm = native.library_open(libraryKind.digest, 'SHA512') as TfmHandle;
    const op = native.op_open(tfm) as OpHandle;
    const [src, dst] = [new Uint8Array(32 << 20), new Uint8Array(64)];
    const ended = new Promise((resolve) => delivered.push(resolve));
    expect(native.engine_submit(engine, 0, op, 0, null, 0, src, dst, null)).to.equal(0);
    const answers: number[] = [];
    for (let time = 0; time < 2; time++) {
      for (const flags of [0, 1, 2]) answers.push(native.engine_submit(engine, 0, op, flags, null, 0, src, dst, null));
      answers.push(native.engine_submit(engine, 0, op, 4, null, 0, src, dst, null));
      answers.push(native.engine_submit_update(engine, 0, op, src));
      answers.push(native.op_run(op, 0, null, 0, src, dst, null));
      answers.push(native.op_update(op, src));
      answers.push(native.op_final(op, dst));
      answers.push(native.op_clone(op) as number);
      answers.push(native.op_reset(op));
      answers.push(native.op_stage(op, 2, null, 0, src, dst, null));
    }
    await ended;
    const once = [-EBUSY, -EBUSY, -EBUSY, -EOPNOTSUPP, ...Array<number>(7).fill(-EBUSY)];
    expect(answers).to.deep.equal([...once, ...once]);
    expect(native.op_run(op, 0, null, 0, src.subarray(0, 8), dst, null), 'then it is free').to.equal(64);
    native.op_close(op);
    native.tfm_close(tfm);
    native.engine_close(engine);
  });

  it('pieces of a message are for hashes alone', () => {
    const native = binding();
    for (const [kind, name, keySize] of [
      [libraryKind.cipher, 'AES-256-CBC', 32],
      [libraryKind.gcm, 'AES-256-GCM', 32],
      [libraryKind.random, '', 0],
    ] as const) {
      const tfm = native.library_open(kind, name) as TfmHandle;
      if (keySize) native.tfm_set_key(tfm, key.subarray(0, keySize));
      const op = native.op_open(tfm) as OpHandle;
      expect(native.op_update(op, new Uint8Array(16))).to.equal(-EOPNOTSUPP);
      expect(native.op_final(op, new Uint8Array(16))).to.equal(-EOPNOTSUPP);
      expect(native.op_clone(op)).to.equal(-EOPNOTSUPP);
      native.op_close(op);
      native.tfm_close(tfm);
    }
  });
});

async function outcome(promise: Promise<number>): Promise<string> {
  return promise.then(
    () => 'it ran',
    (error: AlgError) => error.code,
  );
}
