import { performance } from 'node:perf_hooks';
import { Bio, type BioError, sectorSize } from '../../dm/bio.js';
import type { RamDevice } from '../../dm/ram-device.js';
import type { BlockDevice } from '../../dm/target.js';
import type { Outcome, Trial } from '../measure/experiment.js';
import { requestBytes, type WorkqueueLoad } from './arms.js';
import { type DiskImage, diskBlocks, diskBytes, sameBlock } from './disk.js';

/** What the arms of a load have in common: which blocks in which order, what is there before, and what is written. */
export class WorkqueueWork {
  readonly load: WorkqueueLoad;
  readonly before: DiskImage;
  readonly after: DiskImage;
  /** The block of each request. */
  readonly blocks: Int32Array;
  /** Where reads go, a block a request. */
  readonly room: Buffer;
  /** The disk that writes have gone to, to be looked at. */
  readonly disk: Buffer;

  constructor(load: WorkqueueLoad, before: DiskImage, after: DiskImage, requests: number) {
    this.load = load;
    this.before = before;
    this.after = after;
    // 769 has no divisor in common with the number of blocks: each comes once before any comes again.
    const step = load.order === 'random' ? 769 : 1;
    this.blocks = Int32Array.from({ length: requests }, (_, index) => (index * step) % diskBlocks);
    this.room = Buffer.alloc(load.op === 'read' ? requests * requestBytes : 0);
    this.disk = Buffer.alloc(load.op === 'write' ? diskBytes : 0);
  }
}

/** One of our devices under a load. */
export class WorkqueueTrial implements Trial {
  readonly arm: string;
  readonly bytes = requestBytes;
  readonly depth: number;
  readonly requests: number;
  readonly latencies: Float64Array;
  readonly #work: WorkqueueWork;
  readonly #ram: RamDevice;
  readonly #device: BlockDevice;
  readonly #enciphers: boolean;
  #next = 0;
  #failed = 0;
  #asynchronous = 0;
  #error: string | undefined;

  /** `device`: the RAM itself, or what is on it. */
  constructor(arm: string, ram: RamDevice, device: BlockDevice, work: WorkqueueWork) {
    this.arm = arm;
    this.requests = work.blocks.length;
    this.depth = work.load.depth;
    this.latencies = new Float64Array(this.requests);
    this.#work = work;
    this.#ram = ram;
    this.#device = device;
    this.#enciphers = device !== ram;
  }

  prepare(): void {
    this.#next = 0;
    this.#failed = 0;
    this.#asynchronous = 0;
    this.#error = undefined;
    this.#work.room.fill(0);
    this.#ram.submit(new Bio({ op: 'write', sector: 0, bytes: this.#work.before.below }, () => {}));
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#work.load.depth }, () => this.#submitter()));
  }

  /** One request after the other; so many of these as the load is deep. */
  #submitter(): Promise<void> {
    const { blocks, load, after, room } = this.#work;
    return new Promise((resolve) => {
      const submit = () => {
        // What ends at once is not answered by a call in a call, which would be as deep as there are requests.
        for (let wasInline = true; wasInline; ) {
          const request = this.#next++;
          if (request >= this.requests) return resolve();
          const block = blocks[request]!;
          const at = (load.op === 'read' ? request : block) * requestBytes;
          const bytes = (load.op === 'read' ? room : after.plain).subarray(at, at + requestBytes);
          const start = performance.now();
          let returned = false;
          wasInline = false;
          const end = (error: BioError | null) => {
            this.latencies[request] = performance.now() - start;
            if (error) this.#note(error);
            if (returned) {
              this.#asynchronous++;
              submit();
            } else {
              wasInline = true;
            }
          };
          this.#device.submit(new Bio({ op: load.op, sector: (block * requestBytes) / sectorSize, bytes }, end));
          returned = true;
        }
      };
      submit();
    });
  }

  check(): Outcome {
    const wrong = this.#work.load.op === 'read' ? this.#wrongReads() : this.#wrongBlocks();
    return { wrong, failed: this.#failed, asynchronous: this.#asynchronous, error: this.#error };
  }

  #wrongReads(): number {
    const { blocks, room, before } = this.#work;
    const expected = this.#enciphers ? before.plain : before.below;
    let wrong = 0;
    for (const [request, block] of blocks.entries()) {
      const [from, at] = [request * requestBytes, block * requestBytes];
      if (room.compare(expected, at, at + requestBytes, from, from + requestBytes) !== 0) wrong++;
    }
    return wrong;
  }

  /** What was written is there as it is to be, and nothing else has changed. */
  #wrongBlocks(): number {
    const { blocks, before, after, disk } = this.#work;
    this.#ram.submit(new Bio({ op: 'read', sector: 0, bytes: disk }, () => {}));
    const written = new Set(blocks);
    const expected = this.#enciphers ? after.below : after.plain;
    let wrong = 0;
    for (let block = 0; block < diskBlocks; block++)
      if (!sameBlock(block, disk, written.has(block) ? expected : before.below)) wrong++;
    return Math.min(wrong, this.requests);
  }

  #note({ code, cause }: BioError): void {
    this.#failed++;
    this.#error ??= cause instanceof Error ? cause.message : code;
  }
}
