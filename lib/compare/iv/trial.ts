import { performance } from 'node:perf_hooks';
import type { ChainDone } from '../../chain/deliveries.js';
import { type ChainMode, IvChain } from '../../chain/iv-chain.js';
import type { Direction } from '../../crypto/request/iv.js';
import type { Tfm } from '../../crypto/request/tfm.js';
import type { Outcome, Trial } from '../measure/experiment.js';
import { HazardChain } from './hazard-chain.js';
import type { IvMaterial } from './material.js';

/** How an arm queues its requests. */
export interface IvArm {
  name: string;
  /** In a line, for the report. */
  what: string;
  mode: ChainMode | 'hazard';
  depth: number;
  /** 'sync': each resubmitted from user space, when the one before has been delivered. 'queue': AIO, or lanes where the provider has none. */
  engine: 'sync' | 'queue';
  direction: Direction;
  /** Only AIO can do this: there is no such arm without it. */
  needsAio: boolean;
}

/** An arm on a driver, for one size of request. */
export class IvTrial implements Trial {
  readonly arm: string;
  readonly requests: number;
  readonly bytes: number;
  readonly depth: number;
  readonly latencies: Float64Array;
  readonly #what: IvArm;
  readonly #tfm: Tfm;
  readonly #material: IvMaterial;
  readonly #src: Uint8Array[];
  readonly #expected: Uint8Array[];
  readonly #ivs: Uint8Array[] | undefined;
  readonly #submitted: Float64Array;
  readonly #dones: ChainDone[];
  #chain: IvChain | HazardChain | undefined;
  #failed = 0;
  #asynchronous = 0;
  #error: string | undefined;

  constructor(arm: IvArm, tfm: Tfm, material: IvMaterial) {
    this.arm = arm.name;
    this.requests = material.requests;
    this.bytes = material.bytes;
    this.depth = arm.engine === 'sync' ? 1 : arm.depth;
    this.latencies = new Float64Array(material.requests);
    this.#what = arm;
    this.#tfm = tfm;
    this.#material = material;
    const own = arm.mode === 'inline' || arm.mode === 'hazard';
    const encrypted = own ? material.separate : material.chained;
    this.#src = arm.direction === 'encrypt' ? material.plain : encrypted;
    this.#expected = arm.direction === 'encrypt' ? encrypted : material.plain;
    this.#ivs = own ? material.ivs : undefined;
    this.#submitted = new Float64Array(material.requests);
    this.#dones = this.#src.map((_, index) => (error, _bytes, asynchronous) => {
      this.latencies[index] = performance.now() - this.#submitted[index]!;
      if (asynchronous) this.#asynchronous++;
      if (error) this.#note(error);
    });
  }

  prepare(): void {
    const { mode, depth, direction } = this.#what;
    this.#material.wipeOutputs();
    this.#failed = 0;
    this.#asynchronous = 0;
    this.#error = undefined;
    const iv = this.#ivs ? {} : { iv: this.#material.iv };
    this.#chain =
      mode === 'hazard'
        ? new HazardChain(this.#tfm, direction)
        : new IvChain(this.#tfm, { mode, depth, direction, ...iv });
  }

  /**
   * Submits as fast as the chain takes it; 'sync' arms when the one before has been delivered. Otherwise the same few
   * steps for each arm: the difference is in the chain.
   */
  async run(): Promise<void> {
    const chain = this.#chain!;
    const { out } = this.#material;
    const resubmits = this.#what.engine === 'sync';
    for (let i = 0; i < this.requests; i++) {
      this.#submitted[i] = performance.now();
      const answer = chain.submit(this.#src[i]!, out[i]!, this.#dones[i]!, this.#ivs?.[i]);
      if (resubmits) await chain.idle();
      else if (answer === 'busy') await chain.room();
    }
    await chain.idle();
  }

  check(): Outcome {
    this.#chain?.close();
    this.#chain = undefined;
    return {
      wrong: this.#material.countWrong(this.#expected),
      failed: this.#failed,
      asynchronous: this.#asynchronous,
      error: this.#error,
    };
  }

  #note(error: Error): void {
    this.#failed++;
    this.#error ??= error.message;
  }
}
