import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** A mapping in which some bytes were found. */
export interface Found {
  /** First and last address, and name, as /proc/PID/smaps has them. */
  mapping: string;
  /** Its VmFlags: 'dd' is left out of core dumps, 'lo' is locked. */
  flags: string[];
}

/** Larger ones are a sanitizer's books and what V8 has reserved: the bytes of no program. */
const largest = 2 ** 28;
const pieceSize = 1 << 20;
const overlap = 64;

/** Where in the memory of a child any of these bytes are, an entry for each of them. @throws the error of /proc/PID/mem, where it may not be read */
export function scanMemory(pid: number, wanted: readonly Buffer[]): Found[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const found: Found[] = [];
  const piece = Buffer.allocUnsafeSlow(pieceSize);
  try {
    for (const { mapping, start, end, flags } of mappings(pid)) {
      const missing = new Set(wanted);
      for (let at = start; at < end; at += pieceSize - overlap) {
        const count = readAt(memory, piece, at, Math.min(pieceSize, end - at));
        for (const bytes of missing) {
          if (!piece.subarray(0, count).includes(bytes)) continue;
          found.push({ mapping, flags });
          missing.delete(bytes);
        }
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

/** The mappings that can be read, are in memory in part, and are not too large. */
function mappings(pid: number) {
  const blocks = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return blocks.flatMap((block) => {
    const [, from = '', to = '', mode = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(block) ?? [];
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    const resident =
      Number(/^Rss: +(\d+) kB/m.exec(block)?.[1] ?? 0) + Number(/^Swap: +(\d+) kB/m.exec(block)?.[1] ?? 0);
    const flags = /^VmFlags: (.*)$/m.exec(block)?.[1]?.trim().split(' ') ?? [];
    if (!mode.startsWith('r') || resident === 0 || end - start > largest || /\[v(var|syscall)/.test(block)) return [];
    return [{ mapping: block.split('\n')[0]!, start, end, flags }];
  });
}

/** None of a page that has gone, or that is a device's. */
function readAt(memory: number, piece: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, piece, 0, length, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO' || (error as NodeJS.ErrnoException).code === 'EFAULT') return 0;
    throw error;
  }
}
