import type { Backing } from './export.js';

/** Bytes that are written at once where there is memory for them. */
export const zeroesAtOnce = 1 << 20;

let zeroes: Buffer | undefined;

/**
 * Makes zeroes of these bytes: with `punch`, and where a discard is known to leave zeroes, by discarding the whole blocks; else by writing
 * `atOnce` bytes at a time, a power of two up to `zeroesAtOnce`.
 */
export async function writeZeroes(
  backing: Backing,
  offset: number,
  length: number,
  { punch, atOnce }: { punch: boolean; atOnce: number },
): Promise<void> {
  const blocks = wholeBlocks(backing, offset, length);
  if (!punch || !backing.discardsToZero || blocks.length === 0) return writeData(backing, offset, length, atOnce);
  await writeData(backing, offset, blocks.offset - offset, atOnce);
  await backing.discard(blocks.offset, blocks.length);
  const end = blocks.offset + blocks.length;
  await writeData(backing, end, offset + length - end, atOnce);
}

/** The whole blocks among these bytes; none: length 0. */
export function wholeBlocks(
  { blockSize }: Backing,
  offset: number,
  length: number,
): { offset: number; length: number } {
  const first = Math.ceil(offset / blockSize) * blockSize;
  const end = Math.floor((offset + length) / blockSize) * blockSize;
  return { offset: first, length: Math.max(end - first, 0) };
}

/** Piece by piece: to a target that ciphers zeroes are data like any other. */
async function writeData(backing: Backing, offset: number, length: number, atOnce: number): Promise<void> {
  zeroes ??= Buffer.alloc(zeroesAtOnce);
  for (let at = offset; at < offset + length; ) {
    // Pieces end where blocks do.
    const next = Math.min(offset + length, (Math.floor(at / atOnce) + 1) * atOnce);
    await backing.write(at, zeroes.subarray(0, next - at), { fua: false });
    at = next;
  }
}
