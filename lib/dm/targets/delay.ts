import type { Clock } from '../../base/clock.js';
import { type Area, openArea, takeArea } from '../area.js';
import { Arguments } from '../arguments.js';
import type { Bio } from '../bio.js';
import type { TargetHoldings } from '../holdings.js';
import { TableError } from '../table-error.js';
import type { Target, TargetType } from '../target.js';

/** Where one class of bios goes, how late, and how many of them are held (struct delay_class). */
interface DelayClass {
  area: Area;
  ms: number;
  held: number;
}

/** `<dev> <offset> <ms>`, once for all, or again for writes, and again for flushes (drivers/md/dm-delay.c). */
class Delay implements Target {
  readonly flushes = true;
  readonly discards: boolean;
  readonly blockSize: number;
  #delays = true;
  /** Passes a held bio on, and cancels its timer. */
  readonly #held = new Set<() => void>();

  constructor(
    readonly classes: readonly [DelayClass, DelayClass, DelayClass],
    readonly given: number,
    readonly clock: Clock,
  ) {
    const devices = classes.map(({ area }) => area.device);
    this.discards = devices.every((device) => device.discards);
    this.blockSize = Math.max(...devices.map((device) => device.blockSize));
  }

  map(bio: Bio): void {
    const [reads, writes, flushes] = this.classes;
    const kind = bio.op === 'read' ? reads : bio.op === 'flush' ? flushes : writes;
    if (kind.ms === 0 || !this.#delays) kind.area.submit(bio);
    else this.#hold(bio, kind);
  }

  #hold(bio: Bio, kind: DelayClass): void {
    kind.held++;
    const pass = () => {
      cancel();
      this.#held.delete(pass);
      kind.held--;
      kind.area.submit(bio);
    };
    const cancel = this.clock.after(kind.ms, pass);
    this.#held.add(pass);
  }

  /** What is held goes at once, and what comes is not held, until the device is resumed. */
  presuspend(): void {
    this.#delays = false;
    for (const pass of this.#held) pass();
  }

  resume(): void {
    this.#delays = true;
  }

  holdings(): Partial<TargetHoldings> {
    return { delayed: this.#held.size };
  }

  status(kind: 'info' | 'table'): string {
    if (kind === 'info') return this.classes.map(({ held }) => held).join(' ');
    return this.classes
      .slice(0, this.given)
      .map(({ area, ms }) => `${area.describe()} ${ms}`)
      .join(' ');
  }
}

export const delay: TargetType = {
  name: 'delay',
  version: [1, 4, 0],
  async ctr(args, context) {
    if (![3, 6, 9].includes(args.length))
      throw new TableError('Requires exactly 3, 6 or 9 arguments', { hint: 'each time <dev> <offset> <ms>' });
    const rest = new Arguments(args);
    const classes: DelayClass[] = [];
    while (rest.left) {
      const place = takeArea(rest);
      const ms = rest.number('Invalid delay', 0, 2 ** 31 - 1);
      classes.push({ area: await openArea(context, place), ms, held: 0 });
    }
    const read = classes[0]!;
    const write = classes[1] ?? { ...read };
    const flush = classes[2] ?? { ...write };
    return new Delay([read, write, flush], classes.length, context.clock);
  },
};
