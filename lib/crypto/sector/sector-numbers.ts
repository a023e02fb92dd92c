/**
 * The numbers that enter the IVs of a bio's sectors: low half and high half of each, one pair after the other. 64-bit wrap, and no
 * bigint for each sector.
 *
 * `first` is cc_sector of the first sector (512-byte units, any bigint: taken modulo 2^64), which grows by `step` a sector; `shift` is
 * what iv_large_sectors divides by. Source: drivers/md/dm-crypt.c:crypt_convert_block_skcipher.
 */
export function sectorNumbers(first: bigint, count: number, step: number, shift: number): Uint32Array {
  const numbers = new Uint32Array(count * 2);
  let low = Number(first & 0xffffffffn);
  let high = Number((first >> 32n) & 0xffffffffn);
  for (let i = 0; i < numbers.length; i += 2) {
    numbers[i] = shift ? (low >>> shift) | (high << (32 - shift)) : low;
    numbers[i + 1] = high >>> shift;
    low += step;
    if (low >= 2 ** 32) {
      low -= 2 ** 32;
      high = (high + 1) >>> 0;
    }
  }
  return numbers;
}

/** `numbers` shifted left by `shift` (1 to 31) bits, modulo 2^64. */
export function shiftLeft(numbers: Uint32Array, shift: number): Uint32Array {
  const result = new Uint32Array(numbers.length);
  for (let i = 0; i < numbers.length; i += 2) {
    result[i] = numbers[i]! << shift;
    result[i + 1] = (numbers[i + 1]! << shift) | (numbers[i]! >>> (32 - shift));
  }
  return result;
}
