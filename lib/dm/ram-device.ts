import { type Bio, sectorSize } from './bio.js';
import type { DeviceHoldings } from './holdings.js';
import { TableError } from './table-error.js';
import type { BlockDevice } from './target.js';

/** A RAM disk: `ram:BYTES` in a table line. Zeroes at first, gone when it is closed. */
export class RamDevice implements BlockDevice {
  readonly blockSize = sectorSize;
  readonly discards = true;
  readonly discardsToZero = true;
  readonly sectors: number;
  #bytes: Buffer;

  /** @throws RangeError when there is not that much memory */
  constructor(bytes: number) {
    this.#bytes = Buffer.alloc(bytes);
    this.sectors = bytes / sectorSize;
  }

  /** @throws TableError */
  static open(spec: string, argument: number): RamDevice {
    const bytes = /^ram:(\d+)$/.test(spec) ? Number(spec.slice(4)) : Number.NaN;
    const fields = { argument, value: spec };
    if (!Number.isSafeInteger(bytes) || bytes === 0 || bytes % sectorSize !== 0)
      throw new TableError('Device lookup failed', { ...fields, hint: 'expected ram: and a multiple of 512 bytes' });
    try {
      return new RamDevice(bytes);
    } catch (cause) {
      const hint = 'there is not that much memory';
      throw new TableError('Device lookup failed', { ...fields, code: 'ENOMEM', hint }, { cause });
    }
  }

  submit(bio: Bio): void {
    const start = bio.sector * sectorSize;
    const end = start + bio.sectors * sectorSize;
    if (end > this.#bytes.length) {
      bio.end('EIO');
      return;
    }
    if (bio.op === 'read') bio.bytes.set(this.#bytes.subarray(start, end));
    else if (bio.op === 'write') this.#bytes.set(bio.bytes, start);
    else if (bio.op === 'discard') this.#bytes.fill(0, start, end);
    bio.end();
  }

  describe(): string {
    return `ram:${this.#bytes.length}`;
  }

  holdings(): DeviceHoldings {
    return { descriptors: 0, bytes: this.#bytes.length };
  }

  async close(): Promise<void> {
    this.#bytes = Buffer.alloc(0);
  }
}
