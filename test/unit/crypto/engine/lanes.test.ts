import { readdirSync, readFileSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { expect } from 'chai';
import {
  binding,
  type EngineHandle,
  libraryKind,
  type OpHandle,
  ringEntry,
  type TfmHandle,
} from '../../../../lib/base/binding.js';
import { type AlgError, type Engine, openLanes, Tfm } from '../../../../lib/index.js';

const provider = 'library' as const;
const key = new Uint8Array(32).fill(5);

interface Thread {
  id: number;
  name: string;
  nice: number;
  blocked: bigint;
}

/** The threads of this process, by the kernel's account. */
function threads(): Thread[] {
  return readdirSync('/proc/self/task').map((id) => {
    const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/self/task/${id}/stat`, 'utf8')) ?? [];
    const status = readFileSync(`/proc/self/task/${id}/status`, 'utf8');
    // proc(5): nice is field 19, and rest begins with field 3.
    return {
      id: Number(id),
      name,
      nice: Number(rest.split(' ')[16]),
      blocked: BigInt(`0x${/SigBlk:\s*(\w+)/.exec(status)![1]}`),
    };
  });
}
const lanesAmong = (all: Thread[]) => all.filter(({ name }) => name.startsWith('dmalg-lane'));
/** The lanes that `open` starts: the numbers of threads begin again some time, so that the newest are not always the last. */
function lanesOf(open: () => Engine): { engine: Engine; lanes: Thread[] } {
  const before = new Set(lanesAmong(threads()).map(({ id }) => id));
  const engine = open();
  return { engine, lanes: lanesAmong(threads()).filter(({ id }) => !before.has(id)) };
}

describe('lanes', () => {
  it('have the niceness asked for, and leave the caller its own', () => {
    const before = getPriority();
    const { engine, lanes } = lanesOf(() => openLanes(2, 64, before + 3));
    expect(lanes.map(({ nice }) => nice)).to.deep.equal([before + 3, before + 3]);
    expect(getPriority()).to.equal(before);
    engine.close();
    const plain = lanesOf(() => openLanes(1));
    expect(plain.lanes.map(({ nice }) => nice)).to.deep.equal([before]);
    plain.engine.close();
  });

  it('get no signals: those are for the threads that Node runs', () => {
    const engine = openLanes(2);
    for (const { blocked } of lanesAmong(threads()))
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGCHLD', 'SIGPIPE'] as const)
        expect((blocked >> BigInt(constants.signals[signal] - 1)) & 1n, signal).to.equal(1n);
    const main = threads().find(({ id }) => id === process.pid)!;
    expect((main.blocked >> BigInt(constants.signals.SIGTERM - 1)) & 1n, 'the main thread gets them').to.equal(0n);
    engine.close();
  });

  it('end with their engine', () => {
    const before = lanesAmong(threads()).length;
    const engine = openLanes(3);
    expect(lanesAmong(threads()).length).to.equal(before + 3);
    engine.close();
    expect(lanesAmong(threads()).length).to.equal(before);
  });

  it('hand cancelled requests back: they can run again', async () => {
    const engine = openLanes(1);
    const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine });
    const requests = Array.from({ length: 20 }, () =>
      Object.assign(tfm.request(), {
        iv: new Uint8Array(16),
        src: new Uint8Array(1 << 20),
        dst: new Uint8Array(1 << 20),
      }),
    );
    const codes = requests.map((request) => request.run().then(String, (error: AlgError) => error.code));
    engine.close();
    expect((await Promise.all(codes)).filter((code) => code === 'ECANCELED')).to.have.length.above(10);
    for (const request of requests) expect(request.runSync()).to.equal(1 << 20);
    tfm.close();
  });

  it('wake who waits for room, each time', async () => {
    const engine = openLanes(1, 1);
    const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine });
    const request = Object.assign(tfm.request(), {
      iv: new Uint8Array(16),
      src: new Uint8Array(64),
      dst: new Uint8Array(64),
    });
    for (let i = 0; i < 3; i++) {
      expect(request.submit(() => {})).to.equal('busy');
      await engine.room();
      await request.idle();
    }
    tfm.close();
    engine.close();
  });

  it('a batch is cut among them, and each unit has its own status', async () => {
    const engine = openLanes(3);
    const tfm = new Tfm('hash', 'sha512', { provider, engine });
    for (const units of [1, 2, 3, 4, 7, 100]) {
      const batch = tfm.batch({
        direction: 'encrypt',
        unitSize: 10,
        ivs: null,
        src: new Uint8Array(units * 10),
        dst: new Uint8Array(units * 64),
      });
      expect(await batch.run()).to.equal(units * 64);
      expect([...batch.status]).to.deep.equal(Array<number>(units).fill(64));
    }
    const wrong = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine });
    const failed = wrong.batch({
      direction: 'encrypt',
      unitSize: 10,
      ivs: new Uint8Array(5 * 16),
      src: new Uint8Array(50),
      dst: new Uint8Array(50),
    });
    expect(await failed.run().catch((error: AlgError) => error.code)).to.equal('EINVAL');
    expect([...failed.status]).to.deep.equal(Array<number>(5).fill(-22));
    for (const tfmOf of [tfm, wrong]) tfmOf.close();
    engine.close();
  });

  it('fill no more of the ring than it has', async () => {
    const native = binding();
    const entries = 2;
    const memory = new Float64Array(ringEntry * (entries + 20)).fill(-7);
    const ring = memory.subarray(0, ringEntry * entries);
    const ids: number[] = [];
    let ended: () => void = () => {};
    const deliver = (count: number) => {
      expect(count).to.be.within(1, entries);
      for (let at = 0; at < count; at++) ids.push(ring[at * ringEntry]!);
      if (ids.length === 20) ended();
    };
    const engine = native.lanes_open(2, deliver, ring, 0) as EngineHandle;
    const tfm = native.library_open(libraryKind.digest, 'SHA256') as TfmHandle;
    const [src, dst] = [new Uint8Array(64), new Uint8Array(32 * 20)];
    const ops = Array.from({ length: 20 }, () => native.op_open(tfm) as OpHandle);
    const all = new Promise<void>((resolve) => {
      ended = resolve;
    });
    ops.forEach((op, id) => {
      expect(native.engine_submit(engine, id, op, 0, null, 0, src, dst.subarray(id * 32, id * 32 + 32), null)).to.equal(
        0,
      );
    });
    // The lanes write all digests before the loop gets to look.
    const isWritten = (id: number) => dst.subarray(id * 32, id * 32 + 32).some((byte) => byte !== 0);
    while (!ops.every((_, id) => isWritten(id)));
    await all;
    expect(ids.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 20 }, (_, id) => id));
    expect(
      [...memory.subarray(ring.length)].every((number) => number === -7),
      'beside the ring',
    ).to.equal(true);
    for (const op of ops) native.op_close(op);
    native.tfm_close(tfm);
    native.engine_close(engine);
    deliver.toString();
  });
});
