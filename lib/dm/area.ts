import type { Arguments } from './arguments.js';
import { type Bio, sectorSize } from './bio.js';
import { type Extent, extentOf } from './extent.js';
import { joinArgs } from './split-args.js';
import { TableError } from './table-error.js';
import type { BlockDevice, TargetContext } from './target.js';

/** A stretch of a device that a target lies on. */
export class Area {
  constructor(
    readonly device: BlockDevice,
    readonly start: number,
  ) {}

  /** Passes a bio of the target on to the sectors below it. */
  submit(bio: Bio): void {
    bio.sector += this.start;
    this.device.submit(bio);
  }

  /** @see BlockDevice.extent */
  extent(sector: number, sectors: number): Extent {
    return extentOf(this.device, this.start + sector, sectors);
  }

  /** As it stands in a table line. */
  describe(): string {
    return joinArgs([this.device.describe(), String(this.start)]);
  }
}

/** Takes `<dev> <offset>`, the order in which they are complained about being the kernel's: the offset first. @throws TableError */
export function takeArea(args: Arguments): { spec: string; argument: number; start: number } {
  const argument = args.index;
  const spec = args.take('Device lookup failed');
  return { spec, argument, start: args.number('Invalid device sector') };
}

/**
 * Opens the device below a target, which has to be long enough, and to begin and end where the blocks of both do (drivers/md/dm-table.c:
 * device_area_is_invalid). `blockSize`: the target's own, in bytes. @throws TableError
 */
export async function openArea(
  context: TargetContext,
  { spec, argument, start }: ReturnType<typeof takeArea>,
  blockSize: number = sectorSize,
): Promise<Area> {
  const device = await context.openDevice(spec, argument);
  if (start + context.length > device.sectors)
    throw new TableError(
      `${spec} too small for target: start=${start}, len=${context.length}, dev_size=${device.sectors}`,
      { argument, code: 'ENXIO' },
    );
  const block = Math.max(blockSize, device.blockSize);
  for (const [name, sectors] of Object.entries({ start, len: context.length }))
    if ((sectors * sectorSize) % block !== 0)
      throw new TableError(`${name}=${sectors} not aligned to h/w logical block size ${block} of ${spec}`, {
        argument,
      });
  return new Area(device, start);
}
