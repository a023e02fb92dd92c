import { setImmediate } from 'node:timers/promises';

/** Bytes that are read and hashed at once, unless a block is larger, and how many bios are in flight: memory is their product. */
const bioSize = 1 << 20;
const biosInFlight = 4;
/** What is in the page cache and hashed in this thread leaves the loop no turn; signals and progress want one. */
const biosATurn = 16;

export interface BioShape {
  /** Blocks to go through. */
  blocks: number;
  /** Bytes. */
  blockSize: number;
  /** Bytes from a block's digest to the next. */
  stride: number;
  /** A bio ends where so many blocks end, or has a whole multiple of them: those whose digests lie in one hash block. A power of two. */
  group: number;
  /** Whether the digests of one group follow those of the last one without a gap. */
  contiguous: boolean;
}

/** A run of blocks, and room for their digests. Its buffers are used again for another run. */
export interface Bio {
  /** Index of its first block, and their number. */
  first: number;
  count: number;
  bytes: Buffer;
  /** Zero between the digests. */
  digests: Buffer;
}

/**
 * Goes through all blocks, many bios at once: `start` reads and hashes a bio, `finish` gets them in order. Ends with the
 * first error, when nothing is in flight any more.
 */
export async function eachBio(
  { blocks, blockSize, stride, group, contiguous }: BioShape,
  start: (bio: Bio) => Promise<void>,
  finish: (bio: Bio) => Promise<void> | void,
): Promise<void> {
  // Blocks and groups are powers of two, and so are bios.
  const most = Math.max(1, bioSize / blockSize);
  const size = contiguous ? most : Math.min(most, group);
  const total = Math.ceil(blocks / size);
  let started = 0;
  const begin = (bytes: Buffer, digests: Buffer) => {
    const first = started++ * size;
    const count = Math.min(size, blocks - first);
    const bio = {
      first,
      count,
      bytes: bytes.subarray(0, count * blockSize),
      digests: digests.subarray(0, count * stride),
    };
    const done = start(bio);
    done.catch(() => {}); // it is awaited later, in its turn
    return { bio, done, bytes, digests };
  };
  const room = () => [Buffer.allocUnsafeSlow(Math.min(size, blocks) * blockSize), Buffer.alloc(size * stride)] as const;
  const queue = Array.from({ length: Math.min(total, biosInFlight) }, () => begin(...room()));
  try {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await next.done;
      await finish(next.bio);
      if (started % biosATurn === 0) await setImmediate();
      if (started < total) queue.push(begin(next.bytes, next.digests));
    }
  } finally {
    // Buffers and hasher must outlive what is in flight.
    await Promise.allSettled(queue.map(({ done }) => done));
  }
}
