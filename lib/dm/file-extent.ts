import { ENXIO } from '../alg/errno.js';
import { binding } from '../binding.js';

/**
 * How a stretch of a regular file begins: with a hole, which reads as zeroes and takes no space, or with data, and how many bytes of it go on so
 * (lseek(2), SEEK_DATA, SEEK_HOLE). All is data where nobody can tell, and behind the end: who reads there is to be told that the file has become shorter.
 */
export function fileExtent(fd: number, offset: number, length: number): { length: number; hole: boolean } {
  const seek = (at: number, hole: boolean) => binding().file_seek(fd, at, hole);
  const written = seek(offset, false);
  if (written === -ENXIO) return { length, hole: seek(offset + length - 1, true) >= 0 };
  if (written > offset) return { length: Math.min(written - offset, length), hole: true };
  const end = written < 0 ? written : seek(offset, true);
  return { length: end > offset ? Math.min(end - offset, length) : length, hole: false };
}
