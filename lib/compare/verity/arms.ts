import { type MakeRequestSource, makeRequestSource } from '../../dm/memory/request-source.js';
import type { PublishedFigure } from '../measure/group.js';
import type { Pairs } from '../measure/verdict.js';
import { AllocatedSource, OneRequestSource } from './sources.js';

/** Where an arm's bios have their requests from: in this alone arms differ. */
export interface VerityArm {
  name: string;
  make: MakeRequestSource;
}

export const serial = 'one after another';
export const patch = 'parallel, all allocated per bio';
export const single = 'parallel, a request a block';
export const batched = 'parallel, reserve and mempool';

/** The first is the base. */
export const verityArms: readonly VerityArm[] = [
  { name: serial, make: (options) => new OneRequestSource(options) },
  { name: patch, make: (options) => new AllocatedSource(options) },
  { name: single, make: (options) => makeRequestSource({ ...options, mostUnits: 1 }) },
  // The target as it is: up to 128 blocks a request.
  { name: batched, make: makeRequestSource },
];

/** Who is held against whom: [arm, against]. */
export const verityPairs: Pairs = [
  [patch, serial],
  [single, serial],
  [batched, serial],
  [single, patch],
  [batched, single],
];

/** Chemla 2018's bytes for each block: sizeof(struct dm_verity_req_data). */
export const publishedBlockBytes = 3264;

const measured = 'Chemla 2018: Y. Chemla on dm-devel, 2018-03-25';
const counted = 'Chemla 2018: E. Biggers on dm-devel, 2018-03-27';

export const verityPublished: readonly PublishedFigure[] = [
  { what: 'faster on hardware (ccree)', value: 12, unit: '%', arm: patch, source: measured },
  { what: 'faster in software, at most', value: 1, unit: '%', arm: patch, source: measured },
  { what: 'fewer context switches', value: 10, unit: '%', arm: patch, source: measured },
  { what: 'allocated for each block', value: publishedBlockBytes, unit: 'bytes', arm: patch, source: counted },
];
