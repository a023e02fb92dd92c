export interface CpioEntry {
  /** Path without a leading slash. */
  path: string;
  /** File type and permissions as in `stat`, e.g. 0o100755. */
  mode: number;
  /** Content of a file, target of a symbolic link; none for a folder. */
  data?: Buffer;
}

/** Pads with zeroes to a multiple of 4, as the format wants after names and data. */
function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

/**
 * An uncompressed `newc` archive, the format of an initramfs. Written here because cpio(1) would need a folder laid out on disk first, and
 * root for the owners.
 */
export function cpio(entries: CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }];
  for (const [index, { path, mode, data = Buffer.alloc(0) }] of all.entries()) {
    const name = Buffer.from(`${path}\0`);
    // inode, mode, uid, gid, links, mtime, size, device (major, minor), rdev (major, minor), name length, checksum
    const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(`070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`);
    parts.push(header, name, padding(header.length + name.length), data, padding(data.length));
  }
  return Buffer.concat(parts);
}
