import { binding, type EngineHandle, type OpHandle, unitFlag } from '../../base/binding.js';
import { valueError } from '../../base/bytes.js';
import type { Engine, Work } from '../engine/engine.js';
import type { Direction } from './iv.js';
import type { Tfm } from './tfm.js';

/** A request as it is: nothing of it is checked. */
export interface RawRequest {
  direction: Direction;
  iv: Uint8Array | null;
  src: Uint8Array;
  dst: Uint8Array;
}

/**
 * One op socket for several requests at a time, which is wrong by construction: the IV is the socket's. With it the probe
 * of AIO and the hazard experiment see what a kernel does then. Native code refuses it to all but AIO on the kernel's ops.
 */
export class SharedOp {
  readonly #engine: Engine;
  readonly #op: OpHandle;

  /** @throws TypeError when the tfm's engine is not AIO; AlgError */
  constructor(tfm: Tfm) {
    if (tfm.engine.name !== 'aio') throw valueError(`tfm: expected the engine aio, got ${tfm.engine.name}`);
    this.#engine = tfm.engine;
    this.#op = tfm.openOp();
  }

  /** Puts the data of a request and its IV into the socket, whatever is in flight there. Returns 0 or -errno. */
  stage({ direction, iv, src, dst }: RawRequest): number {
    return binding().op_stage(this.#op, unitFlag[direction] | unitFlag.stagedAll, iv, 0, src, dst, null);
  }

  /** Runs a request; of one that is staged only the read is left. `done` gets bytes or -errno, never inside this call. */
  submit(request: RawRequest, isStaged: boolean, done: (result: number, asynchronous: boolean) => void): void {
    const { direction, iv, src, dst } = request;
    const flags = unitFlag[direction] | (isStaged ? unitFlag.stagedAll : 0);
    const work: Work = {
      result: 0,
      asynchronous: false,
      began: 0,
      ended: 0,
      execute: () => binding().op_run(this.#op, flags, iv, 0, src, dst, null),
      dispatch: (engine: EngineHandle, id) =>
        binding().engine_submit(engine, id, this.#op, flags, iv, 0, src, dst, null),
    };
    if (this.#engine.submit(work, done) === 'done') queueMicrotask(() => done(work.result, false));
  }

  /** Empties the socket of what a failed request has left. */
  reset(): void {
    binding().op_reset(this.#op);
  }

  close(): void {
    binding().op_close(this.#op);
  }
}
