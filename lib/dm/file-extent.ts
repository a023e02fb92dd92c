import { binding } from '../base/binding.js';
import { ENXIO } from '../base/errno.js';

const seek = (fd: number, at: number, hole: boolean) => binding().file_seek(fd, at, hole);

/**
 * Where in a stretch of a regular file the first data are, from its start; `length` where all of it is a hole, which reads as zeroes and takes no
 * space (lseek(2), SEEK_DATA). 0 where nobody can tell, and behind the end: who reads there is to be told that the file has become shorter.
 */
export function leadingHole(fd: number, offset: number, length: number): number {
  const data = seek(fd, offset, false);
  if (data === -ENXIO) return seek(fd, offset + length - 1, true) >= 0 ? length : 0;
  return data > offset ? Math.min(data - offset, length) : 0;
}

/**
 * How a stretch of a regular file begins: with a hole or with data, and how many bytes of it go on so. Where data end may take long to find: the
 * kernel looks at every page of them (mm/filemap.c:mapping_seek_hole_data). Who only asks for holes asks leadingHole.
 */
export function fileExtent(fd: number, offset: number, length: number): { length: number; hole: boolean } {
  const empty = leadingHole(fd, offset, length);
  if (empty > 0) return { length: empty, hole: true };
  const end = seek(fd, offset, true);
  return { length: end > offset ? Math.min(end - offset, length) : length, hole: false };
}
