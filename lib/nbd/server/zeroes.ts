import type { Backing } from './export.js';

/** Bytes that are written at once. */
export const zeroesAtOnce = 1 << 20;

let zeroes: Buffer | undefined;

/** Writes zeroes, of any length, piece by piece: to a target that ciphers they are data like any other. */
export async function writeZeroes(backing: Backing, offset: number, length: number): Promise<void> {
  zeroes ??= Buffer.alloc(zeroesAtOnce);
  for (let at = offset; at < offset + length; ) {
    // Pieces end where blocks do.
    const next = Math.min(offset + length, (Math.floor(at / zeroesAtOnce) + 1) * zeroesAtOnce);
    await backing.write(at, zeroes.subarray(0, next - at), { fua: false });
    at = next;
  }
}
