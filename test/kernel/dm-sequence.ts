import { seeded } from '../support/manual-engine.js';
import { randomBytes } from '../support/random-bytes.js';

/** One operation of a sequence. Bytes. */
export interface Step {
  op: 'read' | 'write' | 'flush' | 'discard';
  offset: number;
  length: number;
  /** Of a write. */
  data: Buffer;
}

export interface SequenceOptions {
  seed: number;
  /** Bytes of the device. */
  size: number;
  /** Bytes that offsets and lengths are multiples of. */
  unit: number;
  /** Rounds, one after the other. */
  rounds: number;
  /** Most operations that are in flight in a round. */
  depth: number;
  discards: boolean;
}

/** Rounds of operations: those of a round are in flight together and do not overlap. Most are short, some are longer than the kernel's bios. */
export function* sequence({ seed, size, unit, rounds, depth, discards }: SequenceOptions): Generator<Step[]> {
  const random = seeded(seed);
  const below = (count: number) => Math.floor(random() * count);
  for (let round = 0; round < rounds; round++) {
    const steps: Step[] = [];
    // A discard starts a program in the kernel's case: few of them.
    const discardsNow = discards && round % 6 === 3;
    for (let left = 1 + below(depth); left > 0; left--) {
      const longest = random() < 0.15 ? 200_000 : 12_000;
      const length = unit * (1 + below(Math.floor(longest / unit)));
      const offset = unit * below(Math.floor((size - length) / unit) + 1);
      const kind = below(100);
      const op = kind < 5 ? 'flush' : kind < 40 ? 'read' : kind < 85 || !discardsNow ? 'write' : 'discard';
      const free = steps.every((other) => offset >= other.offset + other.length || other.offset >= offset + length);
      if (op === 'flush') steps.push({ op, offset: 0, length: 0, data: Buffer.alloc(0) });
      else if (free)
        steps.push({ op, offset, length, data: randomBytes(`${seed} ${round} ${left}`, op === 'write' ? length : 0) });
    }
    yield steps;
  }
}
