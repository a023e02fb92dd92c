import { performance } from 'node:perf_hooks';
import { Bio, sectorSize } from '../../dm/bio.js';
import type { BlockDevice } from '../../dm/target.js';

/** Bytes of a bio. */
export const bioSize = 16384;

/** It goes on until it has done all, or the least and its time is up: bios at least, at most, seconds. */
export interface LoadExtent {
  least: number;
  most: number;
  seconds: number;
}

/** Bios on a device, some at a time: reads of these bytes that are looked at, or writes of them. */
export class Load {
  begun = 0;
  done = 0;
  outputsOk = true;
  readonly #device: BlockDevice;
  readonly #op: 'read' | 'write';
  readonly #expected: Buffer;

  /** `expected`: what the device holds from its start on, or what it is to hold. Whole bios, again and again. */
  constructor(device: BlockDevice, op: 'read' | 'write', expected: Buffer) {
    this.#device = device;
    this.#op = op;
    this.#expected = expected;
  }

  async run(inFlight: number, { least, most, seconds }: LoadExtent): Promise<void> {
    const end = performance.now() + seconds * 1000;
    const goesOn = () => this.begun < least || (this.begun < most && performance.now() < end);
    await Promise.all(Array.from({ length: inFlight }, () => this.#worker(goesOn)));
  }

  async #worker(goesOn: () => boolean): Promise<void> {
    const own = Buffer.alloc(bioSize);
    while (goesOn()) {
      const at = (this.begun++ * bioSize) % this.#expected.length;
      const expected = this.#expected.subarray(at, at + bioSize);
      const bytes = this.#op === 'read' ? own.fill(0) : expected;
      const succeeded = await submit(this.#device, this.#op, at, bytes);
      this.outputsOk &&= succeeded && bytes.equals(expected);
      this.done++;
    }
  }

  /** Looks at what was written: it is there to be read, and no sector of it is in the clear where it lies in the end. */
  async readBack(lowest: BlockDevice): Promise<void> {
    const written = Math.min(this.begun * bioSize, this.#expected.length);
    const [above, below] = [Buffer.alloc(bioSize), Buffer.alloc(bioSize)];
    for (let at = 0; at < written; at += bioSize) {
      const expected = this.#expected.subarray(at, at + bioSize);
      const succeeded =
        (await submit(this.#device, 'read', at, above.fill(0))) && (await submit(lowest, 'read', at, below));
      this.outputsOk &&= succeeded && above.equals(expected) && !shareSector(below, expected);
    }
  }
}

/** Whether it succeeded. */
async function submit(device: BlockDevice, op: 'read' | 'write', at: number, bytes: Buffer): Promise<boolean> {
  const error = await new Promise((resolve) => {
    device.submit(new Bio({ op, sector: at / sectorSize, bytes }, resolve));
  });
  return error === null;
}

function shareSector(one: Buffer, other: Buffer): boolean {
  for (let at = 0; at < one.length; at += sectorSize)
    if (one.compare(other, at, at + sectorSize, at, at + sectorSize) === 0) return true;
  return false;
}
