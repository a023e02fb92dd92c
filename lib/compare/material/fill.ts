/** Bytes without a pattern that are the same each time: xorshift32. */
export function fill(bytes: Uint8Array, seed: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let state = seed;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    view.setUint32(at, state);
  }
  return bytes;
}
