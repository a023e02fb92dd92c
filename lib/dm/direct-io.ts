import { read } from 'node:fs';
import { promisify } from 'node:util';
import { binding } from '../base/binding.js';

/** What no memory for direct I/O needs more than: a page. */
const page = 4096;
/** What a file system may want offsets, lengths and memory to be multiples of. */
const blockSizes = [512, 1024, 2048, page];

/** New bytes that begin at a page. */
export function pageAligned(size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size + page);
  const over = binding().bytes_misalignment(bytes, page);
  return bytes.subarray(page - over, page - over + size);
}

export function isAligned(bytes: Uint8Array, alignment: number): boolean {
  return binding().bytes_misalignment(bytes, alignment) === 0;
}

/** The smallest block that a file opened with O_DIRECT is read in: found by trying. @throws the error of the last try */
export async function directBlockSize(fd: number): Promise<number> {
  const bytes = pageAligned(page);
  for (const size of blockSizes)
    try {
      await promisify(read)(fd, bytes, 0, size, 0);
      return size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL' || size === page) throw error;
    }
  return page;
}
