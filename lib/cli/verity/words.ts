import type { Repair } from '../../verity/repair.js';

/** '1 data block', '2 data blocks' */
export function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

export const areaWords = { data: 'data block', hash: 'hash block', fec: 'parity block' };

/** '1 data block, 0 hash blocks' */
export function blockCounts({ data, hash }: { data: number; hash: number }): string {
  return `${counted(data, areaWords.data)}, ${counted(hash, areaWords.hash)}`;
}

export function unjudgedLine(unjudged: { data: number; hash: number }): string {
  return `cannot be judged, being below bad hash blocks: ${blockCounts(unjudged)}`;
}

/** What is to be said of the parity of an image that is right; nothing where there is none, or it is right too. */
export function parityWarning(fec: Pick<Repair, 'mended' | 'unjudgedParity'> | undefined): string {
  const lines: string[] = [];
  if (fec && fec.mended.fec > 0)
    lines.push(
      `the FEC data is wrong or too short in ${counted(fec.mended.fec, areaWords.fec)}; if --fec-roots and --fec-offset are right, 'dmalg verity repair' mends it`,
    );
  if (fec && fec.unjudgedParity > 0) lines.push(unfitLine(fec.unjudgedParity));
  return lines.map((line) => `WARNING: ${line}\n`).join('');
}

/** Of sets whose parity fits nothing. */
export function unfitLine(sets: number): string {
  return `the FEC data of ${counted(sets, 'set')} of blocks fits neither data nor tree; if HASH has another size than when it was made, give --fec-blocks`;
}

/** Of bytes at the end of the data file that fill no block; nothing where there are none. */
export function tailWarning(path: string, tail: number): string {
  return tail > 0
    ? `WARNING: ${path}: the last ${counted(tail, 'byte')} fill no block, and no digest covers them.\n`
    : '';
}
