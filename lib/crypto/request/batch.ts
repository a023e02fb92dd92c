import { type BatchArguments, binding, type EngineHandle, unitFlag } from '../../base/binding.js';
import {
  checkBytes,
  checkInteger,
  checkView,
  checkWord,
  overlap,
  rangeError,
  wrongSize,
  wrongType,
} from '../../base/bytes.js';
import { EBADF } from '../../base/errno.js';
import type { Answer, Done, Engine } from '../engine/engine.js';
import { algError } from '../error.js';
import type { Direction } from './iv.js';
import { checkApart } from './layout.js';
import { checkSalt, type Salt, saltFlag } from './salt.js';
import { execute, type ObservedWork, type RequestFacts, submitTo } from './submit.js';
import type { Tfm } from './tfm.js';

export interface BatchFields {
  direction: Direction;
  /** Bytes of a unit: a crypt sector, a verity block. */
  unitSize: number;
  /** The IVs of all units, one after the other; null for a hash or a cipher without. */
  ivs: Uint8Array | null;
  src: Uint8Array;
  /** As long as src; for a hash, one digest a unit. */
  dst: Uint8Array;
  /** Bytes from a unit's result to the next, for a hash: at least the digest's. Default: the digest's. */
  dstStride?: number;
  /** Hashed with each unit, in front of it or behind; for a hash alone. */
  salt?: Salt;
  /** Where the status of each unit goes; new memory, if not given. */
  status?: Int32Array;
}

/**
 * Many equal units in one crossing into native code, which cuts them apart at the bottom: each unit has its own IV and
 * its own status. Until it has ended its buffers must not be detached: see Request. Engines spread the units: over lanes, or over op sockets with an IOCB each.
 */
export class Batch implements ObservedWork {
  readonly tfm: Tfm;
  readonly fields: Readonly<BatchFields>;
  /** Bytes or -errno of each unit, once done. */
  readonly status: Int32Array;
  result = 0;
  asynchronous = false;
  began = 0;
  ended = 0;
  readonly #dstStride: number;

  /** @throws TypeError, RangeError */
  constructor(tfm: Tfm, fields: BatchFields) {
    const { direction, unitSize, ivs, src, dst, salt } = fields;
    if (tfm.type !== 'skcipher' && tfm.type !== 'hash') throw wrongType('tfm', 'a skcipher or hash', tfm.type);
    checkWord('direction', direction, ['encrypt', 'decrypt']);
    checkInteger('unitSize', unitSize, 1, 2 ** 31 - 1);
    checkBytes('src', src);
    checkBytes('dst', dst);
    if (src.length === 0 || src.length % unitSize)
      throw wrongSize('src', `one or more whole units of ${unitSize} bytes`, src.length);
    if (unitSize > tfm.maxRequest()) throw wrongSize('unitSize', `at most ${tfm.maxRequest()} bytes`, unitSize);
    const count = src.length / unitSize;
    this.#dstStride = strideOf(tfm, fields);
    if (dst.length !== count * this.#dstStride) throw wrongSize('dst', `${count * this.#dstStride} bytes`, dst.length);
    const ivSize = tfm.type === 'skcipher' ? (tfm.info.ivSize ?? 0) : 0;
    if (ivs !== null) checkBytes('ivs', ivs);
    if ((ivs?.length ?? 0) !== count * ivSize)
      throw wrongSize('ivs', `${count} IVs of ${ivSize} bytes`, ivs?.length ?? 0);
    if (salt !== undefined) checkSalt(tfm.type, salt);
    // Units run in any order, so what one writes must be no other's input.
    if (tfm.type === 'skcipher') checkApart(src, dst);
    else if (overlap(src, dst)) throw sharing('src');
    if (ivs && overlap(ivs, dst)) throw sharing('ivs');
    if (salt && overlap(salt.bytes, dst)) throw sharing('salt.bytes');
    this.tfm = tfm;
    // Frozen: native code reads these buffers while the batch is in flight.
    this.fields = Object.freeze({ ...fields });
    this.status = fields.status === undefined ? new Int32Array(count) : checkedStatus(fields, count);
  }

  /** Runs all units in this thread. Returns the bytes written. @throws AlgError of the first unit that failed */
  runSync(): number {
    const result = execute(this);
    if (result < 0) throw this.#error(result);
    return result;
  }
  /** Runs it on an engine, the tfm's if not given. */
  run(engine = this.tfm.engine): Promise<number> {
    return new Promise((resolve, reject) => {
      const settle = (result: number) => (result < 0 ? reject(this.#error(result)) : resolve(result));
      if (this.submitTo(engine, settle) === 'done') settle(this.result);
    });
  }
  /** As Request.submit. */
  submit(done: Done): Answer {
    return this.submitTo(this.tfm.engine, done);
  }
  /** The same on another engine. */
  submitTo(engine: Engine, done: Done): Answer {
    return submitTo(engine, this, done);
  }
  /** Once done: the error of the first unit that failed. */
  get failure(): Error | undefined {
    return this.result < 0 ? this.#error(this.result) : undefined;
  }

  /** For engines: EBADF when the tfm has been closed since, which may be while the batch waits in a backlog. */
  execute(): number {
    if (this.tfm.closed) return -EBADF;
    return binding().batch_run(...this.#native());
  }
  /** For engines. */
  dispatch(engine: EngineHandle, id: number): number {
    if (this.tfm.closed) return -EBADF;
    return binding().engine_submit_batch(engine, id, ...this.#native());
  }

  /** For those who watch. */
  facts(): RequestFacts {
    const { type, name, provider } = this.tfm;
    const { direction, src } = this.fields;
    return { type, alg: name, provider, direction, bytes: src.length, units: this.status.length };
  }

  #native(): BatchArguments {
    const { direction, ivs, src, dst, unitSize, salt } = this.fields;
    const flags = unitFlag[direction] | saltFlag(salt);
    return [this.tfm.handle, flags, ivs, src, dst, unitSize, this.#dstStride, this.status, salt?.bytes ?? null];
  }
  #error(result: number): Error {
    return algError(this.tfm.provider === 'library' ? 'library' : 'recvmsg', this.tfm.name, result);
  }
}

/** @throws TypeError, RangeError */
function checkedStatus({ status, src, dst, ivs }: BatchFields, count: number): Int32Array {
  checkView('status', status!, 'Int32Array');
  if (status!.length !== count) throw wrongSize('status', `${count} numbers`, status!.length);
  if (overlap(status!, src) || overlap(status!, dst) || (ivs && overlap(status!, ivs)))
    throw rangeError('status: expected memory of its own, got some that overlaps src, dst or ivs');
  return status!;
}

const sharing = (what: string) => rangeError(`dst: expected bytes apart from ${what}, got some that overlap it`);

function strideOf(tfm: Tfm, { unitSize, dstStride }: BatchFields): number {
  if (tfm.type !== 'hash') {
    if (dstStride !== undefined) throw wrongType('dstStride', `none for a ${tfm.type}`, dstStride);
    return unitSize;
  }
  const digestSize = tfm.info.digestSize!;
  if (dstStride !== undefined) checkInteger('dstStride', dstStride, digestSize, 2 ** 31 - 1);
  return dstStride ?? digestSize;
}
