import type { Mempool } from '../base/mempool.js';
import { bioChannel } from '../base/observe.js';
import { type Bio, sectorSize } from './bio.js';
import { type Extent, extentOf } from './extent.js';
import { observed } from './observed-bio.js';
import { Join, passWhole } from './split.js';
import type { TableLine } from './table.js';
import type { BlockDevice, Target } from './target.js';

/** A line of a table and the target that was made of it. */
export interface MappedLine extends Omit<TableLine, 'args'> {
  target: Target;
  /** The mempools that were made for it, by their kind, the newest where one was made again; and the devices that it was opened on, by name. */
  pools?: ReadonlyMap<string, Mempool<unknown>>;
  devices?: ReadonlyMap<string, BlockDevice>;
}

/** The targets of a device, and which of them a bio is for (struct dm_table). */
export class MappedTable {
  readonly sectors: number;
  readonly blockSize: number;
  readonly discards: boolean;
  readonly discardsToZero: boolean;

  constructor(
    readonly lines: readonly MappedLine[],
    /** What was opened for the targets, and is closed with them. */
    readonly opened: readonly BlockDevice[],
    /** Of the device, for those who watch its bios. */
    readonly id = 0,
  ) {
    const last = lines.at(-1);
    this.sectors = last ? last.start + last.length : 0;
    this.blockSize = Math.max(sectorSize, ...lines.map(({ target }) => target.blockSize ?? sectorSize));
    this.discards = lines.every(({ target }) => target.discards);
    this.discardsToZero = this.discards && lines.every(({ target }) => target.discardsToZero);
  }

  /** The line that a sector belongs to (dm_table_find_target). */
  find(sector: number): MappedLine | undefined {
    let low = 0;
    let high = this.lines.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lines[middle]!.start <= sector) low = middle;
      else high = middle - 1;
    }
    const line = this.lines[low];
    return line && sector >= line.start && sector < line.start + line.length ? line : undefined;
  }

  /** @see BlockDevice.extent; of the line that has the sector. */
  extent(sector: number, sectors: number): Extent {
    const { start, length, target } = this.find(sector)!;
    const most = Math.min(sectors, start + length - sector);
    return extentOf(target, sector - start, most);
  }

  /** Gives a bio's sectors to their targets (drivers/md/dm.c:__split_and_process_bio); a flush to everyone who wants one. `ended` is called just before it ends. */
  map(bio: Bio, ended: () => void): void {
    const only = bio.op === 'read' || bio.op === 'write' ? this.#lineOfWhole(bio) : undefined;
    if (only) {
      passWhole(bio, bio.sector - only.start, ended, (whole) => this.#give(only, whole));
      return;
    }
    const join = new Join(bio, ended);
    if (bio.op === 'flush') {
      for (const line of this.lines) if (line.target.flushes) this.#give(line, join.piece(0, 0, 0));
    } else if (bio.sector + bio.sectors > this.sectors) {
      this.refuse(join.piece(0, bio.sectors, bio.sector), 'EIO');
    } else if (bio.op === 'discard' && !this.discards) {
      this.refuse(join.piece(0, bio.sectors, bio.sector), 'EOPNOTSUPP');
    } else {
      let first = 0;
      while (first < bio.sectors) {
        const line = this.find(bio.sector + first)!;
        const { start, length, target } = line;
        const sector = bio.sector + first - start;
        const most = bio.op === 'discard' ? length : (target.maxSectors ?? length);
        const count = Math.min(bio.sectors - first, length - sector, most);
        this.#give(line, join.piece(first, count, sector));
        first += count;
      }
    }
    join.close();
  }

  /** The line that takes all sectors of a read or write in one bio, if there is one. */
  #lineOfWhole({ sector, sectors }: Bio): MappedLine | undefined {
    const line = sectors > 0 ? this.find(sector) : undefined;
    if (!line) return undefined;
    const most = Math.min(line.start + line.length - sector, line.target.maxSectors ?? Number.POSITIVE_INFINITY);
    return sectors <= most ? line : undefined;
  }

  /** Ends a bio that no target gets. */
  refuse(bio: Bio, code: string): void {
    (bioChannel.hasSubscribers ? observed(bio, this.id, null, 0) : bio).end(code);
  }

  #give({ start, type, target }: MappedLine, bio: Bio): void {
    if (!bioChannel.hasSubscribers) {
      mapSafely(target, bio);
      return;
    }
    const watched = observed(bio, this.id, type, start);
    mapSafely(target, watched);
    watched.isMapped = true;
  }

  async close(): Promise<void> {
    for (const { target } of this.lines) await target.close?.();
    for (const device of this.opened) await device.close();
  }
}

/** A target that throws is a bug, and it fails the bio, not the process. What a bio's submitter throws at its end is his. */
function mapSafely(target: Target, bio: Bio): void {
  try {
    target.map(bio);
  } catch (cause) {
    if (bio.ended) throw cause;
    bio.end({ code: 'EIO', failed: [{ first: 0, count: bio.sectors }], cause });
  }
}
