import { sectorSize } from '../../dm/bio.js';
import { fill } from '../material/fill.js';
import { type UnitsWork, unitSize, unitsPerBio } from './work.js';

/** A unit's own part of its bio's buffers. */
interface Page {
  src: Uint8Array;
  dst: Uint8Array;
}

/** As a bio comes: its data is in pages already. */
export interface UnitsBio {
  /** Of the first unit, in sectors of 512 bytes. */
  readonly sector: number;
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  readonly pages: readonly Page[];
}

export const bioSize = unitSize * unitsPerBio;
export const sectorsPerUnit = unitSize / sectorSize;

/** In the first bio they grow beyond 32 bits. */
const firstSector = 2 ** 32 - (unitsPerBio / 2) * sectorsPerUnit;

/** IV mode plain64. Source: drivers/md/dm-crypt.c:crypt_iv_plain64_gen. */
export function putSector(ivs: DataView, at: number, sector: number): void {
  ivs.setUint32(at, sector, true);
  ivs.setUint32(at + 4, sector / 2 ** 32, true);
}

/** The bios of a work, and what must come of them: all arms get the same. Trials run one at a time, so they share the outputs. */
export class UnitsMaterial {
  readonly bios: readonly UnitsBio[];
  readonly #expected: readonly Uint8Array[];

  constructor(
    readonly work: UnitsWork,
    count: number,
  ) {
    const made = Array.from({ length: count }, (_, index) => makeBio(work, index));
    this.bios = made.map(({ bio }) => bio);
    this.#expected = made.map(({ expected }) => expected);
  }

  /** So that an output which is never written cannot pass for that of the run before. */
  wipeOutputs(): void {
    for (const { dst } of this.bios) dst.fill(0);
  }

  /** How many bios are not as expected. */
  countWrong(): number {
    return this.bios.filter(({ dst }, index) => Buffer.compare(dst, this.#expected[index]!) !== 0).length;
  }
}

function makeBio(work: UnitsWork, index: number): { bio: UnitsBio; expected: Uint8Array } {
  const sector = firstSector + index * unitsPerBio * sectorsPerUnit;
  const random = fill(new Uint8Array(bioSize), index + 1);
  const src = new Uint8Array(bioSize);
  const dst = new Uint8Array(unitsPerBio * work.resultSize);
  const expected = new Uint8Array(dst.length);
  const iv = new Uint8Array(16);
  const view = new DataView(iv.buffer);
  const pages: Page[] = [];
  for (let unit = 0; unit < unitsPerBio; unit++) {
    const [from, to] = [unit * unitSize, (unit + 1) * unitSize];
    const [place, end] = [unit * work.resultSize, (unit + 1) * work.resultSize];
    view.setBigUint64(0, BigInt(sector + unit * sectorsPerUnit), true);
    const made = work.reference(random.subarray(from, to), iv);
    src.set(made.src, from);
    expected.set(made.expected, place);
    pages.push({ src: src.subarray(from, to), dst: dst.subarray(place, end) });
  }
  return { bio: { sector, src, dst, pages }, expected };
}
