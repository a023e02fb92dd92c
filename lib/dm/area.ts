import type { Arguments } from './arguments.js';
import { type Bio, sectorSize } from './bio.js';
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
 * Opens the device below a target, which has to be long enough (drivers/md/dm-table.c:device_area_is_invalid).
 * @throws TableError
 */
export async function openArea(
  context: TargetContext,
  { spec, argument, start }: ReturnType<typeof takeArea>,
): Promise<Area> {
  const device = await context.openDevice(spec, argument);
  if (start + context.length > device.sectors)
    throw new TableError(
      `${spec} too small for target: start=${start}, len=${context.length}, dev_size=${device.sectors}`,
      { argument, code: 'ENXIO' },
    );
  const blockSectors = device.blockSize / sectorSize;
  if (start % blockSectors !== 0 || context.length % blockSectors !== 0)
    throw new TableError('not aligned to h/w logical block size', {
      argument,
      value: spec,
      hint: `start=${start}, len=${context.length}, logical block size ${device.blockSize}`,
    });
  return new Area(device, start);
}
