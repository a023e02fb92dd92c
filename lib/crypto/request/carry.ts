import { binding, type OpHandle } from '../../base/binding.js';

/** Runs bytes `from` to `to` on an op. Returns the output, empty when it failed. */
function run(op: OpHandle, iv: Uint8Array | null, src: Uint8Array, from: number, to: number): Uint8Array {
  const dst = new Uint8Array(to - from);
  return binding().op_run(op, 1, iv, 0, src.subarray(from, to), dst, null) === dst.length ? dst : dst.subarray(0, 0);
}

/** Whether two requests on one op, the second without an IV, give what one request of their length gives. */
export function probeCarry(openOp: () => OpHandle, ivSize: number, blockSize: number): boolean {
  const size = Math.max(64, blockSize);
  const src = new Uint8Array(2 * size).fill(0x5a);
  const iv = new Uint8Array(ivSize).fill(1);
  const whole = openOp();
  const parts = openOp();
  try {
    const expected = run(whole, iv, src, 0, 2 * size);
    const got = Buffer.concat([run(parts, iv, src, 0, size), run(parts, null, src, size, 2 * size)]);
    return expected.length > 0 && got.equals(expected);
  } finally {
    binding().op_close(whole);
    binding().op_close(parts);
  }
}
