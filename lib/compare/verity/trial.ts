import { performance } from 'node:perf_hooks';
import { Bio, type BioError, sectorSize } from '../../dm/bio.js';
import type { BlockDevice } from '../../dm/target.js';
import type { Outcome, Trial } from '../measure/experiment.js';
import { isWantOfMemory, type RequestMemory } from './request-memory.js';

/** In what is read into, beforehand: neither the data nor zeroes. */
const untouched = 0xee;

/** Reads from the start of an image on, and what they must give. Trials run one at a time, so they share it. */
export class VerityMaterial {
  /** What each bio reads into. */
  readonly out: Buffer[];
  /** What it is to be then. */
  readonly expected: Buffer[];
  readonly #allOut: Buffer;

  constructor(
    image: Buffer,
    readonly bioSize: number,
    bios: number,
  ) {
    const cut = (all: Buffer) => Array.from({ length: bios }, (_, i) => all.subarray(i * bioSize, (i + 1) * bioSize));
    this.#allOut = Buffer.alloc(bios * bioSize);
    this.out = cut(this.#allOut);
    this.expected = cut(image);
  }

  wipe(): void {
    this.#allOut.fill(untouched);
  }
}

export interface VerityTrialFields {
  arm: string;
  device: BlockDevice;
  memory: RequestMemory;
  material: VerityMaterial;
  /** Bios in flight at once. */
  depth: number;
  /** For how many requests, beyond the reserves, there is memory in a run. Where it has an end, bios may fail for want of it. */
  elements: number;
}

/** An arm's device that is read: each bio once in a run. */
export class VerityTrial implements Trial {
  readonly arm: string;
  readonly requests: number;
  readonly bytes: number;
  readonly depth: number;
  readonly latencies: Float64Array;
  readonly #fields: VerityTrialFields;
  readonly #errors: (BioError | null)[];
  #asynchronous = 0;

  constructor(fields: VerityTrialFields) {
    const { arm, material } = fields;
    this.arm = arm;
    this.requests = material.out.length;
    this.bytes = material.bioSize;
    this.depth = fields.depth;
    this.latencies = new Float64Array(this.requests);
    this.#fields = fields;
    this.#errors = new Array(this.requests).fill(null);
  }

  prepare(): void {
    const { memory, material, elements } = this.#fields;
    material.wipe();
    memory.begin(elements);
    this.#errors.fill(null);
    this.#asynchronous = 0;
  }

  async run(): Promise<void> {
    let next = 0;
    const worker = async () => {
      while (next < this.requests) await this.#read(next++);
    };
    await Promise.all(Array.from({ length: this.#fields.depth }, worker));
  }

  figures(): Record<string, number> {
    const { memory, elements } = this.#fields;
    return {
      'requests a bio': memory.requests / this.requests,
      'peak bytes a bio': memory.peakBytes,
      ...(Number.isFinite(elements) && {
        'allocations refused': memory.refused,
        'bios failed without memory': this.#errors.filter((error) => isWantOfMemory(error?.cause)).length,
      }),
    };
  }

  check(): Outcome {
    const failures = this.#errors.filter((error) => error !== null);
    const wrong = this.#errors.filter((error, index) => !this.#isRight(error, index)).length;
    const [first] = failures;
    const error = first && `${first.code}: ${(first.cause as Error | undefined)?.message ?? 'no cause given'}`;
    return { wrong, failed: failures.length, asynchronous: this.#asynchronous, error };
  }

  /** A bio that could not have memory is right if nothing of it, which nobody has verified, has reached the reader. */
  #isRight(error: BioError | null, index: number): boolean {
    const { material, elements } = this.#fields;
    const out = material.out[index]!;
    if (!error) return out.equals(material.expected[index]!);
    return Number.isFinite(elements) && isWantOfMemory(error.cause) && out.every((byte) => byte === untouched);
  }

  #read(index: number): Promise<void> {
    const { device, material } = this.#fields;
    return new Promise((resolve) => {
      const submitted = performance.now();
      let returned = false;
      const bio = new Bio(
        { op: 'read', sector: (index * material.bioSize) / sectorSize, bytes: material.out[index]! },
        (error) => {
          this.latencies[index] = performance.now() - submitted;
          this.#errors[index] = error;
          if (returned) this.#asynchronous++;
          resolve();
        },
      );
      device.submit(bio);
      returned = true;
    });
  }
}
