import { setImmediate } from 'node:timers/promises';

/** Bytes that are read and hashed at once, unless a block is larger, and how many runs are in flight: memory is their product. */
const runSize = 1 << 20;
const runsInFlight = 4;
/** What is in the page cache and hashed in this thread leaves the loop no turn; signals and progress want one. */
const runsATurn = 16;

/** Of how many bytes of data so many are done. */
export type OnProgress = (done: number, total: number) => void;

export interface RunShape {
  /** Blocks to go through. */
  blocks: number;
  /** Bytes. */
  blockSize: number;
  /** Bytes from a block's digest to the next. */
  stride: number;
  /** A run ends where so many blocks end, or has a whole multiple of them: those whose digests lie in one hash block. A power of two. */
  group: number;
  /** Whether the digests of one group follow those of the last one without a gap. */
  contiguous: boolean;
}

/** A run of blocks, and room for their digests. Its buffers are used again for another run. */
export interface BlockRun {
  /** Index of its first block, and their number. */
  first: number;
  count: number;
  bytes: Buffer;
  /** Zero between the digests. */
  digests: Buffer;
}

/**
 * Goes through all blocks, many runs at once: `start` reads and hashes a run, `finish` gets them in order. Ends with the
 * first error, when nothing is in flight any more.
 */
export async function eachRun(
  { blocks, blockSize, stride, group, contiguous }: RunShape,
  start: (run: BlockRun) => Promise<void>,
  finish: (run: BlockRun) => Promise<void> | void,
): Promise<void> {
  // Blocks and groups are powers of two, and so are runs.
  const most = Math.max(1, runSize / blockSize);
  const size = contiguous ? most : Math.min(most, group);
  const total = Math.ceil(blocks / size);
  let started = 0;
  const begin = (bytes: Buffer, digests: Buffer) => {
    const first = started++ * size;
    const count = Math.min(size, blocks - first);
    const run = {
      first,
      count,
      bytes: bytes.subarray(0, count * blockSize),
      digests: digests.subarray(0, count * stride),
    };
    const done = start(run);
    done.catch(() => {}); // it is awaited later, in its turn
    return { run, done, bytes, digests };
  };
  const room = () => [Buffer.allocUnsafeSlow(Math.min(size, blocks) * blockSize), Buffer.alloc(size * stride)] as const;
  const queue = Array.from({ length: Math.min(total, runsInFlight) }, () => begin(...room()));
  try {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await next.done;
      await finish(next.run);
      if (started % runsATurn === 0) await setImmediate();
      if (started < total) queue.push(begin(next.bytes, next.digests));
    }
  } finally {
    // Buffers and hasher must outlive what is in flight.
    await Promise.allSettled(queue.map(({ done }) => done));
  }
}
