import { checkAborted } from '../base/abort.js';
import type { BlockFile } from './block-file.js';

/** Bytes copied at a time. */
const pieceSize = 1 << 20;
const zeroes = Buffer.alloc(pieceSize);

/** Copies a file or a device into a new file. What is zero becomes a hole. @throws AbortError, the system's error */
export async function copyFile(from: BlockFile, to: BlockFile, signal?: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(pieceSize);
  for (let position = 0; position < from.size; position += pieceSize) {
    checkAborted(signal);
    const piece = buffer.subarray(0, Math.min(pieceSize, from.size - position));
    await from.read(piece, position);
    const isLast = position + piece.length === from.size;
    if (isLast || !piece.equals(zeroes.subarray(0, piece.length))) await to.write(piece, position);
  }
}
