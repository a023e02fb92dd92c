import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Binding,
  binding,
  type CodeHandle,
  type EngineHandle,
  libraryKind,
  type OpHandle,
  type ParityHandle,
  ringEntry,
  type TfmHandle,
} from '../../../lib/base/binding.js';
import { Batch, createHash, encrypt, hash, IvChain, openTable, promises, Tfm } from '../../../lib/index.js';

/** Bytes of an arena before and behind the view, that nobody may write. */
const margin = 8192;
const canary = 0xa5;

type Kind = new (memory: ArrayBufferLike, offset: number, length: number) => NodeJS.TypedArray;

/** Memory with a view of it, which is then made hostile. */
interface Arena {
  memory: Uint8Array;
  view: unknown;
  size: number;
}

const huge = 64 << 20;
const own = (view: NodeJS.TypedArray, properties: Record<string, unknown>) => {
  for (const [name, value] of Object.entries(properties)) Object.defineProperty(view, name, { value });
  return view;
};
const Resizable = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(size: number): void };

/** Ways to give a view that is not what it looks like: each is handed the arena's memory, and makes a view of it. */
const hostile: Record<string, (Type: Kind, memory: ArrayBuffer, length: number) => unknown> = {
  honest: (Type, memory, length) => new Type(memory, margin, length),
  'own length': (Type, memory, length) => own(new Type(memory, margin, length), { length: huge }),
  'own byteLength': (Type, memory, length) => own(new Type(memory, margin, length), { byteLength: huge }),
  'own byteOffset': (Type, memory, length) => own(new Type(memory, margin, length), { byteOffset: 0 }),
  'own buffer': (Type, memory, length) => own(new Type(memory, margin, length), { buffer: new ArrayBuffer(huge) }),
  'no length': (Type, memory, length) => own(new Type(memory, margin, length), { length: 0, byteLength: 0 }),
  'a length that changes': (Type, memory, length) => {
    let asked = 0;
    return Object.defineProperty(new Type(memory, margin, length), 'length', {
      get: () => (asked++ % 2 ? huge : length),
    });
  },
  'a subclass': (Type, memory, length) => {
    class Longer extends (Type as typeof Uint8Array) {
      override get length() {
        return huge;
      }
    }
    return new Longer(memory, margin, length);
  },
  'another prototype': (Type, memory, length) =>
    Object.setPrototypeOf(new Type(memory, margin, length), { length: huge, constructor: Uint8Array }),
  'a proxy': (Type, memory, length) => new Proxy(new Type(memory, margin, length), {}),
  'no view': (_Type, memory, length) =>
    Object.setPrototypeOf({ length, byteLength: length, buffer: memory, byteOffset: margin }, Uint8Array.prototype),
  'a DataView': (_Type, memory, length) => new DataView(memory, margin, length),
  'an ArrayBuffer': (_Type, memory) => memory,
  'other numbers': (_Type, memory, length) => new Uint16Array(memory, margin, length >> 1),
  shared: (Type, _memory, length) => new Type(new SharedArrayBuffer(length * 8), 0, length),
  detached: (Type, _memory, length) => {
    const memory = new ArrayBuffer(length * 8);
    const view = new Type(memory, 0, length);
    structuredClone(memory, { transfer: [memory] });
    return view;
  },
  'shrunk below its offset': (Type, _memory, length) => {
    const memory = new Resizable(16 * length + 16, { maxByteLength: 16 * length + 16 });
    const view = new Type(memory, 8 * length + 8, length);
    memory.resize(8);
    return view;
  },
  'tracking a length': (Type, _memory, length) => {
    const memory = new Resizable(length * 8, { maxByteLength: length * 16 });
    const view = new (Type as unknown as new (memory: ArrayBuffer) => unknown)(memory);
    memory.resize(length * 8);
    return view;
  },
  nothing: () => null,
};

function arena(way: string, Type: Kind, length: number): Arena {
  const memory = new ArrayBuffer(2 * margin + length * 8);
  const bytes = new Uint8Array(memory).fill(canary);
  const view = hostile[way]!(Type, memory, length);
  return { memory: bytes, view, size: length * (Type as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT };
}

const isIntact = ({ memory, size }: Arena) =>
  memory.every((byte, at) => byte === canary || (at >= margin && at < margin + size));

const ways = fc.constantFrom(...Object.keys(hostile));
const lengths = fc.constantFrom(0, 1, 15, 16, 32, 64, 253, 255, 510, 4096);

describe('views that are not what they look like: native code', function () {
  this.timeout(60_000);
  const native = binding();
  const key = Uint8Array.from({ length: 64 }, (_, at) => at);

  let deliver: ((count: number) => void) | undefined;
  const delivered = (count: number) => deliver?.(count);
  const ring = new Float64Array(ringEntry * 4);
  let lanes: EngineHandle;
  let code: CodeHandle;
  let parity: ParityHandle;
  let file: number;
  const ops: OpHandle[] = [];
  const tfms: TfmHandle[] = [];

  before(() => {
    lanes = native.lanes_open(2, delivered, ring, 0) as EngineHandle;
    code = native.rs_open(2, 0) as CodeHandle;
    parity = native.parity_open(code, 8, 8) as ParityHandle;
    file = openSync(process.execPath, 'r');
    for (const [kind, name, keySize] of [
      [libraryKind.cipher, 'AES-256-CBC', 32],
      [libraryKind.cipher, 'AES-128-ECB', 16],
      [libraryKind.cipher, 'AES-128-CTR', 16],
      [libraryKind.cipher, 'AES-256-XTS', 64],
      [libraryKind.cipher, 'ChaCha20', 32],
      [libraryKind.gcm, 'AES-256-GCM', 32],
      [libraryKind.ccm, 'AES-256-CCM', 32],
      [libraryKind.chacha20poly1305, 'ChaCha20-Poly1305', 32],
      [libraryKind.digest, 'SHA512', 0],
      [libraryKind.interleaved, 'SHA256', 0],
      [libraryKind.hmac, 'SHA256', 32],
      [libraryKind.cmac, 'AES-128-CBC', 16],
      [libraryKind.random, '', 0],
    ] as const) {
      const tfm = native.library_open(kind, name);
      if (typeof tfm === 'number') continue; // no SHA instructions here
      if (keySize) expect(native.tfm_set_key(tfm, key.subarray(0, keySize))).to.equal(0);
      tfms.push(tfm);
      ops.push(native.op_open(tfm) as OpHandle);
    }
  });
  after(() => {
    native.engine_close(lanes);
    for (const op of ops) native.op_close(op);
    for (const tfm of tfms) native.tfm_close(tfm);
    native.parity_close(parity);
    closeSync(file);
  });

  type Views = [never, never, never, never, never];
  /** Of each function that takes views: their kinds, and a call with such views. `pick` chooses a tfm or an op. */
  type Take = { views: Kind[]; call: (views: Views, pick: number) => unknown; isLater?: boolean };
  const u8 = Uint8Array as unknown as Kind;
  const op = (pick: number) => ops[pick % ops.length]!;
  const tfm = (pick: number) => tfms[pick % tfms.length]!;
  const unit = (pick: number) => [(pick % 2) | (pick % 3 ? 0 : 8), pick % 40] as const;
  const batch = ([ivs, src, dst, status, salt]: Views, pick: number) =>
    [tfm(pick), pick % 2, ivs, src, dst, [16, 64, 1][pick % 3]!, [32, 64, 16, 0][pick % 4]!, status, salt] as const;
  const words = ([message, parityBytes, erased, status, changed]: Views, pick: number) =>
    [code, message, parityBytes, pick % 254, erased, status, changed] as const;
  const wordViews = [u8, u8, u8, Int16Array as unknown as Kind, Uint32Array as unknown as Kind];
  const batchViews = [u8, u8, u8, Int32Array as unknown as Kind, u8];
  const takes: { [name in keyof Binding]?: Take } = {
    tfm_set_key: { views: [u8], call: ([view]) => native.tfm_set_key(fresh(), view) },
    op_update: { views: [u8], call: ([view], pick) => native.op_update(op(pick), view) },
    op_final: { views: [u8], call: ([view], pick) => native.op_final(op(pick), view) },
    op_run: {
      views: [u8, u8, u8, u8],
      call: ([iv, src, dst, salt], pick) => native.op_run(op(pick), unit(pick)[0], iv, unit(pick)[1], src, dst, salt),
    },
    op_stage: {
      views: [u8, u8, u8, u8],
      call: ([iv, src, dst, salt], pick) => native.op_stage(op(pick), unit(pick)[0], iv, unit(pick)[1], src, dst, salt),
    },
    engine_submit: {
      views: [u8, u8, u8, u8],
      isLater: true,
      call: ([iv, src, dst, salt], pick) =>
        native.engine_submit(lanes, 0, op(pick), unit(pick)[0], iv, unit(pick)[1], src, dst, salt),
    },
    engine_submit_update: {
      views: [u8],
      isLater: true,
      call: ([view], pick) => native.engine_submit_update(lanes, 0, op(pick), view),
    },
    batch_run: { views: batchViews, call: (views, pick) => native.batch_run(...batch(views, pick)) },
    engine_submit_batch: {
      views: batchViews,
      isLater: true,
      call: (views, pick) => native.engine_submit_batch(lanes, 0, ...batch(views, pick)),
    },
    rs_decode: { views: wordViews, call: (views, pick) => native.rs_decode(...words(views, pick)) },
    engine_submit_rs_decode: {
      views: wordViews,
      isLater: true,
      call: (views, pick) => native.engine_submit_rs_decode(lanes, 0, ...words(views, pick)),
    },
    galois_accumulate: {
      views: [u8, u8, u8],
      call: ([factors, src, dst], pick) => native.galois_accumulate(pick % 6, factors, src, dst),
    },
    parity_add: { views: [u8], call: ([view], pick) => native.parity_add(parity, pick, view) },
    engine_submit_parity_add: {
      views: [u8],
      isLater: true,
      call: ([view], pick) => native.engine_submit_parity_add(lanes, 0, parity, pick, view),
    },
    parity_read: { views: [u8], call: ([view], pick) => native.parity_read(parity, pick % 9, view) },
    file_read_cached: { views: [u8], call: ([view], pick) => native.file_read_cached(file, view, pick) },
    bytes_misalignment: { views: [u8], call: ([view], pick) => native.bytes_misalignment(view, pick) },
    key_read: { views: [u8], call: ([view], pick) => native.key_read(-pick, view) },
    argon2: {
      views: [u8, u8, u8],
      isLater: true,
      call: ([password, salt, into], pick) =>
        native.argon2(1 + (pick % 2) === 1 ? 1 : 2, 1, 8, 1, password, salt, into, (result) => delivered(result)),
    },
    lanes_open: {
      views: [Float64Array as unknown as Kind],
      call: ([view]) => closed(native.lanes_open(1, delivered, view, 0)),
    },
    aio_open: {
      views: [Float64Array as unknown as Kind],
      call: ([view]) => closed(native.aio_open(1, delivered, view)),
    },
  };
  const fresh = () => {
    const made = native.library_open(libraryKind.hmac, 'SHA256') as TfmHandle;
    tfms.push(made);
    return made;
  };
  const closed = (engine: EngineHandle | number) => (typeof engine === 'number' ? engine : native.engine_close(engine));

  /** These take none. */
  const without =
    /^(af_alg_probe|\w+_open|\w+_close|op_(clone|reset|max_request)|tfm_set_(key_serial|authsize|limit))$/;
  const others = [
    'file_link',
    'end_with_parent',
    'galois_paths',
    'file_discard',
    'file_seek',
    'device_block_size',
    'key_request',
    'parity_reset',
  ];

  it('every function that takes views is tried', () => {
    const rest = Object.keys(native).filter(
      (name) => !(name in takes) && !without.test(name) && !others.includes(name),
    );
    expect(rest).to.deep.equal([]);
  });

  for (const [name, { views, call, isLater }] of Object.entries(takes))
    it(`${name} writes and reads within what Node-API says`, async () => {
      const property = fc.asyncProperty(
        fc.array(fc.tuple(ways, lengths), { minLength: views.length, maxLength: views.length }),
        fc.nat(1000),
        async (shapes, pick) => {
          const arenas = shapes.map(([way, length], at) => arena(way, views[at]!, length));
          let result: unknown;
          const done =
            isLater &&
            new Promise<void>((resolve) => {
              deliver = () => resolve();
            });
          try {
            result = call(arenas.map(({ view }) => view) as never, pick);
          } catch (error) {
            expect(error).to.be.instanceOf(TypeError);
            return;
          }
          expect(result).to.be.a('number');
          if (done && result === 0) await done;
          shapes.forEach(([way], at) => {
            expect(isIntact(arenas[at]!), `view ${at}, ${way}: bytes beside it`).to.equal(true);
          });
        },
      );
      await fc.assert(property, { numRuns: 400 });
    });
});

describe('views that are not what they look like: public functions', () => {
  const key = Buffer.alloc(32, 7);
  const iv = Buffer.alloc(16, 9);
  const provider = 'library' as const;
  const tableKey = '01'.repeat(32) + '02'.repeat(32);
  const zeros = new Uint8Array(64);
  const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: 'sync' });
  after(() => tfm.close());

  const calls: Record<string, (view: never) => unknown> = {
    'Request.src': (view) => Object.assign(tfm.request(), { src: view, dst: zeros.slice(), iv }).runSync(),
    'Request.dst': (view) => Object.assign(tfm.request(), { src: zeros, dst: view, iv }).runSync(),
    'Request.iv': (view) => Object.assign(tfm.request(), { src: zeros, dst: zeros.slice(), iv: view }).runSync(),
    'Batch.src': (view) =>
      new Batch(tfm, { direction: 'encrypt', unitSize: 64, ivs: iv, src: view, dst: zeros.slice() }).runSync(),
    'Batch.dst': (view) =>
      new Batch(tfm, { direction: 'encrypt', unitSize: 64, ivs: iv, src: zeros, dst: view }).runSync(),
    'Batch.status': (view) =>
      new Batch(tfm, { direction: 'encrypt', unitSize: 64, ivs: iv, src: zeros, dst: zeros.slice(), status: view }),
    'Tfm key': (view) => new Tfm('hash', 'hmac(sha256)', { key: view, provider }).close(),
    'IvChain.submit': (view) => new IvChain(tfm, { mode: 'mutex', direction: 'encrypt', iv }).push(view, zeros.slice()),
    hash: (view) => hash('sha256', view, { provider }),
    'Hash.update': (view) => createHash('sha256', { provider }).update(view),
    encrypt: (view) => encrypt('ctr(aes)', { key, iv, provider }, view),
    'encrypt, aad': (view) => encrypt('gcm(aes)', { key, iv: iv.subarray(4), aad: view, provider }, zeros),
    'promises.hash': (view) => promises.hash('sha256', view, { provider }),
    'promises.encrypt': (view) => promises.encrypt('cbc(aes)', { key, iv, provider }, view),
    'Device.write': async (view) => {
      await using device = await openTable(`0 8 crypt aes-xts-plain64 ${tableKey} 0 ram:4096 0`, { provider });
      await device.write(0, view);
    },
    'Device.read': async (view) => {
      await using device = await openTable(`0 8 crypt aes-xts-plain64 ${tableKey} 0 ram:4096 0`, { provider });
      await device.read(0, view);
    },
  };
  const lies = Object.keys(hostile).filter(
    (way) =>
      !/honest|own byteOffset|own buffer|a DataView|an ArrayBuffer|other numbers|a length that changes/.test(way),
  );
  for (const [name, call] of Object.entries(calls))
    it(`${name}: a TypeError that names it`, async () => {
      for (const way of lies) {
        const { view, memory } = arena(way, (name === 'Batch.status' ? Int32Array : Uint8Array) as unknown as Kind, 64);
        let error: unknown;
        try {
          await call(view as never);
        } catch (thrown) {
          error = thrown;
        }
        if (way === 'nothing' && (name === 'Request.iv' || error === undefined)) continue;
        expect(error, `${name}, ${way}`).to.be.instanceOf(TypeError);
        expect((error as Error).message, `${name}, ${way}`).to.match(/: expected /);
        expect(memory.every((byte) => byte === canary)).to.equal(true);
      }
    });
});
