import { binding, type EngineHandle, type OpHandle, unitFlag } from '../../base/binding.js';
import { checkAttached, checkBytes, checkInteger, checkWord, noBytes, wrongSize } from '../../base/bytes.js';
import { EBADF, EBUSY, EOPNOTSUPP } from '../../base/errno.js';
import type { Answer, Done, Work } from '../engine/engine.js';
import { algError } from '../error.js';
import type { Direction } from './iv.js';
import { checkApart, resultLength } from './layout.js';
import { checkSalt, type Salt, saltFlag } from './salt.js';
import { execute, type ObservedWork, type RequestFacts, submitTo } from './submit.js';
import type { Tfm } from './tfm.js';

/**
 * One request, reused for any number of operations, one at a time: its own op socket (kernel) or context (library).
 * Set the fields, then run it in one of three ways: runSync(), run() or submit().
 * Native code works on the very memory of iv, src and dst, on another thread. Until the request has ended they must be
 * neither changed nor detached (transferred): a detached one may crash the process.
 * What src and dst hold: see layout.ts.
 */
export class Request implements ObservedWork {
  readonly tfm: Tfm;
  result = 0;
  asynchronous = false;
  began = 0;
  ended = 0;
  #direction: Direction = 'encrypt';
  #iv: Uint8Array | null = null;
  #src: Uint8Array = noBytes;
  #dst: Uint8Array = noBytes;
  #assocLength = 0;
  #salt: Salt | undefined;
  #laidOut = false;
  #staged = 0;
  #busy = false;
  #closed = false;
  #done: Done | undefined;
  #op: OpHandle | undefined;
  #generation = -1;
  #idle: (() => void)[] = [];

  constructor(tfm: Tfm) {
    this.tfm = tfm;
    this.#reopen();
  }

  get direction(): Direction {
    return this.#direction;
  }
  set direction(value: Direction) {
    if (value === this.#direction) return;
    this.#checkIdle();
    checkWord('direction', value, ['encrypt', 'decrypt']);
    this.#direction = value;
  }
  /** The IV; null goes on with the op's own (see Tfm.carriesIv). */
  get iv(): Uint8Array | null {
    return this.#iv;
  }
  set iv(value: Uint8Array | null) {
    if (value === this.#iv) return;
    this.#checkIdle();
    if (value !== null) {
      checkBytes('iv', value);
      const size = this.tfm.info.ivSize;
      if (size !== undefined && value.length !== size)
        throw wrongSize('iv', `${size} bytes for ${this.tfm.name}`, value.length);
    }
    this.#iv = value;
  }
  get src(): Uint8Array {
    return this.#src;
  }
  set src(value: Uint8Array) {
    if (value === this.#src) return;
    this.#checkIdle();
    checkBytes('src', value);
    this.#src = value;
    this.#laidOut = false;
  }
  get dst(): Uint8Array {
    return this.#dst;
  }
  set dst(value: Uint8Array) {
    if (value === this.#dst) return;
    this.#checkIdle();
    checkBytes('dst', value);
    this.#dst = value;
    this.#laidOut = false;
  }
  /** Bytes of associated data in front of src, for an AEAD. */
  get assocLength(): number {
    return this.#assocLength;
  }
  set assocLength(value: number) {
    if (value === this.#assocLength) return;
    this.#checkIdle();
    checkInteger('assocLength', value, 0, 2 ** 31 - 1);
    this.#assocLength = value;
  }

  /** Hashed with src, in front of it or behind; for a hash alone. */
  get salt(): Salt | undefined {
    return this.#salt;
  }
  set salt(value: Salt | undefined) {
    this.#checkIdle();
    if (value !== undefined) checkSalt(this.tfm.type, value);
    this.#salt = value && Object.freeze({ ...value });
  }

  get busy(): boolean {
    return this.#busy;
  }
  get closed(): boolean {
    return this.#closed;
  }

  /** Runs it in this thread. Returns the bytes written to dst. @throws AlgError, TypeError, RangeError */
  runSync(): number {
    this.#prepare();
    const result = execute(this);
    if (result < 0) throw this.error(result);
    return result;
  }

  /** Runs it on the tfm's engine. Resolves with the bytes written to dst. */
  run(): Promise<number> {
    return new Promise((resolve, reject) => {
      const settle = (result: number) => (result < 0 ? reject(this.error(result)) : resolve(result));
      if (this.submit(settle) === 'done') settle(this.result);
    });
  }

  /**
   * Gives it to the tfm's engine. `done` is called exactly once, later, unless the answer is 'done': then the result is
   * in `result`. The buffers must not be touched until then.
   * @throws TypeError, RangeError when the request itself is wrong; AlgError EBUSY when it is in flight
   */
  submit(done: Done): Answer {
    this.#prepare();
    if (this.#isEmpty()) {
      this.result = 0;
      this.asynchronous = false;
      return 'done';
    }
    this.#busy = true;
    this.#done = done;
    const answer = submitTo(this.tfm.engine, this, this.#ended);
    if (answer === 'done') this.#settle();
    return answer;
  }

  /**
   * Copies src into the op ahead of the IV, which the next run then brings. Kernel: sendmsg with MSG_MORE.
   * @throws AlgError, RangeError
   */
  stage(): void {
    this.#prepare();
    this.checkWhole();
    const flags = this.#flags() | unitFlag.stagedData;
    const result = binding().op_stage(this.#op!, flags, this.#iv, this.#assocLength, this.#src, this.#dst, null);
    if (result < 0) throw this.error(result, 'sendmsg');
    this.#staged = unitFlag.stagedData;
  }

  /** Throws away whatever the op holds: half a message, staged data. @throws AlgError */
  reset(): void {
    this.#checkUsable();
    this.#staged = 0;
    const result = binding().op_reset(this.#op!);
    if (result < 0) throw this.error(result, 'accept');
  }

  /** Resolves when it is not in flight. */
  async idle(): Promise<void> {
    while (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Closes the op; one that is in flight is closed when it has completed. Twice is once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.tfm.forget(this);
    if (!this.#busy) this.#closeOp();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle();
    this.close();
  }

  /** For the hash of a long message: its next piece (any size). @throws AlgError */
  update(src: Uint8Array): void {
    this.#checkUsable();
    checkBytes('src', src);
    const result = binding().op_update(this.#op!, src);
    if (result < 0) throw this.error(result, 'sendmsg');
  }
  /**
   * The same on the tfm's engine, which the bytes are for until it resolves; AIO runs no pieces, so that this thread
   * does. Rejects with AlgError.
   */
  async updateLater(src: Uint8Array): Promise<void> {
    this.#checkUsable();
    checkBytes('src', src);
    const op = this.#op!;
    const work: Work = {
      result: 0,
      asynchronous: false,
      began: 0,
      ended: 0,
      execute: () => binding().op_update(op, src),
      dispatch: (engine, id) => binding().engine_submit_update(engine, id, op, src),
    };
    this.#busy = true;
    let result = await new Promise<number>((resolve) => {
      if (this.tfm.engine.submit(work, resolve) === 'done') resolve(work.result);
    });
    if (result === -EOPNOTSUPP) result = work.execute();
    this.#settle();
    if (result < 0) throw this.error(result, 'sendmsg');
  }
  /** The digest of the pieces given to update(). @throws AlgError */
  final(dst: Uint8Array): number {
    this.#checkUsable();
    checkBytes('dst', dst);
    const result = binding().op_final(this.#op!, dst);
    if (result < 0) throw this.error(result, 'recvmsg');
    return result;
  }
  /** A second request with the same half-hashed message. @throws AlgError */
  clone(): Request {
    this.#checkUsable();
    const op = binding().op_clone(this.#op!);
    if (typeof op === 'number') throw this.error(op, 'accept');
    const copy = this.tfm.request();
    binding().op_close(copy.#op!);
    copy.#op = op;
    return copy;
  }

  /** For engines: EBADF when it has been closed since, which may be while it waits in a backlog. */
  execute(): number {
    if (this.#isEmpty()) return 0;
    if (!this.#op) return -EBADF;
    const flags = this.#takeFlags();
    const salt = this.#salt?.bytes ?? null;
    return binding().op_run(this.#op, flags, this.#iv, this.#assocLength, this.#src, this.#room(), salt);
  }
  /** For engines. */
  dispatch(engine: EngineHandle, id: number): number {
    if (!this.#op) return -EBADF;
    const flags = this.#takeFlags();
    const salt = this.#salt?.bytes ?? null;
    const room = this.#room();
    return binding().engine_submit(engine, id, this.#op, flags, this.#iv, this.#assocLength, this.#src, room, salt);
  }

  /** For those who watch. */
  facts(): RequestFacts {
    const { type, name, provider } = this.tfm;
    const { length } = type === 'rng' ? this.#dst : this.#src;
    return { type, alg: name, provider, direction: this.#direction, bytes: length, units: 1 };
  }

  /** The error of a result < 0. */
  error(result: number, syscall = 'recvmsg'): Error {
    return algError(this.tfm.provider === 'library' ? 'library' : syscall, this.tfm.name, result);
  }

  /** @throws RangeError when src is longer than one request may be */
  checkWhole(): void {
    const max = this.tfm.maxRequest();
    const size = Math.max(this.#src.length, this.#dst.length);
    if (size > max) throw wrongSize('src', `at most ${max} bytes for ${this.tfm.name}, whole in one request`, size);
  }

  readonly #ended: Done = (result, asynchronous) => {
    const done = this.#done!;
    this.#settle();
    done(result, asynchronous);
  };

  #closeOp(): void {
    if (this.#op) binding().op_close(this.#op);
    this.#op = undefined;
  }

  #settle(): void {
    this.#busy = false;
    this.#done = undefined;
    if (this.#closed) this.#closeOp();
    const waiting = this.#idle;
    if (waiting.length === 0) return;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  /** A cipher request of no bytes is never sent: there are devices that break on it. */
  #isEmpty(): boolean {
    return this.#src.length === 0 && this.tfm.type === 'skcipher';
  }

  /**
   * Where the result goes. An AEAD's that has no bytes (a tag over nothing) has room for one all the same: the kernel does
   * not run a read of no bytes (algif_aead.c:aead_recvmsg, net/socket.c:sock_read_iter), and so would not check the tag.
   */
  #room(): Uint8Array {
    return this.#dst.length === 0 && this.tfm.type === 'aead' ? spare : this.#dst;
  }

  #flags(): number {
    return unitFlag[this.#direction] | saltFlag(this.#salt);
  }
  #takeFlags(): number {
    const flags = this.#flags() | this.#staged;
    this.#staged = 0;
    return flags;
  }

  /** What is in flight keeps its buffers, and so its fields. */
  #checkIdle(): void {
    if (this.#busy) throw this.error(-EBUSY);
  }

  #checkUsable(): void {
    if (this.#closed) throw this.error(-EBADF);
    this.#checkIdle();
    if (this.#generation !== this.tfm.generation) this.#reopen();
  }

  #reopen(): void {
    const op = this.tfm.openOp();
    if (this.#op) binding().op_close(this.#op);
    this.#op = op;
    this.#staged = 0;
    this.#generation = this.tfm.generation;
  }

  #prepare(): void {
    this.#checkUsable();
    const { type } = this.tfm;
    const { length } = this.#src;
    const expected = resultLength(this.tfm, this.#direction, length, this.#assocLength);
    if (expected !== undefined && this.#dst.length !== expected)
      throw wrongSize('dst', `${expected} bytes for a src of ${length}`, this.#dst.length);
    if (length === 0) checkAttached('src', this.#src);
    if (!this.#laidOut) checkApart(this.#src, this.#dst);
    this.#laidOut = true;
    if (length > smallRequest && type !== 'hash' && !this.#divisible()) this.checkWhole();
  }

  /** Whether the kernel takes it in pieces, carrying the IV on the socket from one to the next. */
  #divisible(): boolean {
    const { type, provider, engine } = this.tfm;
    return type === 'skcipher' && provider === 'kernel' && engine.name !== 'aio' && this.tfm.carriesIv();
  }
}

/** No socket's budget and no driver's limit is below this, so only longer requests have to be looked at. */
const smallRequest = 64 * 1024;
/** Nothing is ever written to it. */
const spare = new Uint8Array(1);
