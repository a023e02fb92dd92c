import type { Bio } from '../../lib/dm/bio.js';
import { RamDevice } from '../../lib/dm/ram-device.js';
import type { BlockDevice } from '../../lib/dm/target.js';

/** RAM whose bios wait until the test lets them go, and which can ask for larger blocks. */
export class ManualDevice implements BlockDevice {
  readonly sectors: number;
  readonly discards = true;
  readonly waiting: Bio[] = [];
  closed = false;
  readonly #ram: RamDevice;

  constructor(
    bytes: number,
    readonly blockSize = 512,
  ) {
    this.#ram = new RamDevice(bytes);
    this.sectors = this.#ram.sectors;
  }

  submit(bio: Bio): void {
    this.waiting.push(bio);
  }

  /** What waits, as `op sector+sectors`. */
  get list(): string[] {
    return this.waiting.map(({ op, sector, sectors, fua }) => `${op}${fua ? ' fua' : ''} ${sector}+${sectors}`);
  }

  /** Runs one of those that wait, or fails it. */
  go(index = 0, error: string | null = null): void {
    const [bio] = this.waiting.splice(index, 1);
    if (error) bio!.end(error);
    else this.#ram.submit(bio!);
  }

  describe(): string {
    return 'manual';
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
