import { systemClock } from '../base/clock.js';
import { LimitedLog } from '../base/limited-log.js';
import type { TargetEvent } from '../dm/target.js';
import { describeEvent } from './device-events.js';

/** Tells of the bad blocks of a device that is served, as often as one is read: a line each, but no flood of them, and in the end a count. */
export class BlockLog {
  readonly #write: (line: string) => void;
  readonly #limited: LimitedLog;
  readonly #counts = { corrected: 0, corrupted: 0, unreadable: 0 };

  constructor(write: (line: string) => void) {
    this.#write = write;
    this.#limited = new LimitedLog(write, systemClock);
  }

  add(event: TargetEvent): void {
    this.#counts[event.kind]++;
    this.#limited.line(describeEvent(event));
  }

  /** Says nothing where all were good. */
  end(): void {
    const counts = Object.entries(this.#counts).filter(([, count]) => count > 0);
    if (counts.length > 0)
      this.#write(`reads of bad blocks: ${counts.map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  }
}
