import { randomInt } from 'node:crypto';
import type { Clock } from '../../../base/clock.js';
import { type Area, openArea, takeArea } from '../../area.js';
import { Arguments } from '../../arguments.js';
import { Bio } from '../../bio.js';
import { TableError } from '../../table-error.js';
import type { Target, TargetType } from '../../target.js';
import { type FlakeyFeatures, formatFeatures, parseFeatures, probabilityBase } from './features.js';

/** Bits of a bio's flags that exist here (include/linux/blk_types.h): REQ_OP_WRITE and REQ_FUA. */
const reqWrite = 1;
const reqFua = 1 << 17;

/** `<dev> <offset> <up> <down> [<#features> ...]`: good for <up> seconds, bad for <down>, and again (drivers/md/dm-flakey.c). */
class Flakey implements Target {
  readonly flushes = true;
  readonly discards: boolean;
  readonly blockSize: number;
  readonly #started: number;

  constructor(
    readonly area: Area,
    readonly up: number,
    readonly down: number,
    readonly features: FlakeyFeatures,
    readonly clock: Clock,
  ) {
    this.discards = area.device.discards;
    this.blockSize = area.device.blockSize;
    this.#started = clock.now();
  }

  /** flakey_map */
  map(bio: Bio): void {
    const { errorReads, errorWrites, dropWrites } = this.features;
    if (!this.#isDown()) this.area.submit(bio);
    else if (bio.op === 'read' ? errorReads : errorWrites) bio.end('EIO');
    else if (bio.op === 'read') this.#read(bio);
    else if (dropWrites) bio.end();
    else if (bio.op === 'write') this.#write(bio);
    else this.area.submit(bio);
  }

  #isDown(): boolean {
    const elapsed = Math.floor((this.clock.now() - this.#started) / 1000);
    return elapsed % (this.up + this.down) >= this.up;
  }

  #read(bio: Bio): void {
    const corrupt = new Bio({ op: 'read', sector: bio.sector, bytes: bio.bytes }, (error) => {
      if (!error) this.#corrupt(bio, bio.bytes);
      bio.end(error);
    });
    this.area.submit(corrupt);
  }

  /** The submitter keeps the bytes as they were: a copy goes wrong. */
  #write(bio: Bio): void {
    const bytes = new Uint8Array(bio.bytes);
    if (!this.#corrupt(bio, bytes)) this.area.submit(bio);
    else this.area.submit(new Bio({ op: 'write', sector: bio.sector, bytes, fua: bio.fua }, (error) => bio.end(error)));
  }

  /** Whether it changed them. */
  #corrupt(bio: Bio, bytes: Uint8Array): boolean {
    const { corruptByte, randomReadCorrupt, randomWriteCorrupt } = this.features;
    let changed = false;
    if (corruptByte?.op === bio.op && corruptByte.nth <= bytes.length && hasFlags(bio, corruptByte.flags)) {
      bytes[corruptByte.nth - 1] = corruptByte.value;
      changed = true;
    }
    const probability = bio.op === 'read' ? randomReadCorrupt : randomWriteCorrupt;
    if (probability && randomInt(probabilityBase) < probability) {
      bytes[randomInt(bytes.length)] = randomInt(256);
      changed = true;
    }
    return changed;
  }

  status(kind: 'info' | 'table'): string {
    if (kind === 'info') return '';
    return `${this.area.describe()} ${this.up} ${this.down} ${formatFeatures(this.features)}`;
  }
}

function hasFlags(bio: Bio, flags: number): boolean {
  const has = (bio.op === 'write' ? reqWrite : 0) | (bio.fua ? reqFua : 0);
  return (flags & ~has) === 0;
}

export const flakey: TargetType = {
  name: 'flakey',
  version: [1, 5, 0],
  async ctr(args, context) {
    if (args.length < 4)
      throw new TableError('Invalid argument count', { hint: 'expected <dev> <offset> <up> <down> [<#features> ...]' });
    const rest = new Arguments(args);
    const place = takeArea(rest);
    const up = rest.number('Invalid up interval', 0, 0xffff_ffff);
    // The kernel says it of both; which one it is, the argument's number tells.
    const down = rest.number('Invalid up interval', 0, 0xffff_ffff);
    if (up + down === 0) throw rest.error('Total (up + down) interval is zero');
    if (up + down > 0xffff_ffff) throw rest.error('Interval overflow');
    const features = parseFeatures(rest);
    return new Flakey(await openArea(context, place), up, down, features, context.clock);
  },
};
