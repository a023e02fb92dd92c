import type { Outcome, Trial } from '../measure/experiment.js';
import type { Carrier } from './carriers.js';
import { bioSize, type UnitsMaterial } from './material.js';
import { BioRecord, type Split } from './record.js';

/** The figures of an arm, and the parts of a bio's time that they are. */
const parts: Record<string, keyof Split> = {
  'submit us': 'submit',
  'queue us': 'queue',
  'crypto us': 'crypto',
  'completion us': 'completion',
};

/** An arm with its work: as many bios are in flight as it has carriers. */
export class UnitsTrial implements Trial {
  readonly requests: number;
  readonly bytes = bioSize;
  readonly depth: number;
  readonly latencies: Float64Array;
  readonly #material: UnitsMaterial;
  readonly #carriers: readonly Carrier[];
  readonly #records: readonly BioRecord[];

  constructor(
    readonly arm: string,
    material: UnitsMaterial,
    carriers: readonly Carrier[],
  ) {
    this.requests = material.bios.length;
    this.depth = carriers.length;
    this.latencies = new Float64Array(this.requests);
    this.#material = material;
    this.#carriers = carriers;
    this.#records = material.bios.map(() => new BioRecord());
  }

  prepare(): void {
    this.#material.wipeOutputs();
  }

  async run(): Promise<void> {
    let next = 0;
    const carryOn = async (carrier: Carrier) => {
      while (next < this.requests) {
        const index = next++;
        const record = this.#records[index]!;
        record.start();
        await carrier.carry(this.#material.bios[index]!, record);
        this.latencies[index] = (record.end - record.begin) / 1000;
      }
    };
    await Promise.all(this.#carriers.map(carryOn));
  }

  /** Of the bio whose latency is in the middle: no bio that the machine held up distorts them, and they add up. */
  figures(): Record<string, number> {
    const sorted = [...this.#records].sort((a, b) => a.end - a.begin - (b.end - b.begin));
    const split = sorted[Math.floor(sorted.length / 2)]!.split();
    return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, split[part]]));
  }

  check(): Outcome {
    const failed = this.#records.filter(({ error }) => error);
    return {
      wrong: this.#material.countWrong(),
      failed: failed.length,
      asynchronous: this.#records.filter(({ asynchronous }) => asynchronous).length,
      error: failed[0]?.error?.message,
    };
  }
}
