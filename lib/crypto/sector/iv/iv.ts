import type { Engine } from '../../engine/engine.js';
import type { Direction } from '../../request/iv.js';

/** Sectors of a bio that have one key: what an IV mode works on. */
export interface Part {
  direction: Direction;
  /** Which of the keys. */
  key: number;
  /** The sectors' numbers: low and high half of each (see sector-numbers.ts). */
  numbers: Uint32Array;
  /** Bytes of a sector. */
  sectorSize: number;
  /** What the cipher will read. */
  src: Uint8Array;
  /** Where the result is. */
  dst: Uint8Array;
  /** Runs what is encrypted, for the IVs too. */
  engine: Engine;
}

/** How the IVs of sectors are made, and what else a mode does to their data. */
export interface IvMode {
  /** In this direction `before` changes the data that the cipher reads: src is then dst, a copy. */
  readonly rewrites?: Direction;
  before?(part: Part): void | Promise<void>;
  /** Fills the IVs of all sectors, `ivSize` bytes each. They are zero before. */
  fill(part: Part, ivs: Uint8Array, ivSize: number): void | Promise<void>;
  /** Changes dst after the cipher. */
  after?(part: Part, ivs: Uint8Array): void | Promise<void>;
  /** Wipes its keys. */
  close?(): void;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes LE64 of each number at every `stride` bytes. */
export function putLittle(numbers: Uint32Array, bytes: Uint8Array, stride: number): void {
  const view = viewOf(bytes);
  for (let i = 0, at = 0; i < numbers.length; i += 2, at += stride) {
    view.setUint32(at, numbers[i]!, true);
    view.setUint32(at + 4, numbers[i + 1]!, true);
  }
}
