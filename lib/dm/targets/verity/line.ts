import type { Tree } from '../../../verity/parameters.js';
import { joinArgs } from '../../split-args.js';
import { formatFeatures, type VerityFeatures } from './features.js';

/** What the arguments of a verity line are made of. */
export interface VerityLineFields {
  tree: Omit<Tree, 'hasher' | 'layout'>;
  rootHash: Uint8Array;
  features: VerityFeatures;
  /** As the line names them. */
  data: string;
  hashDevice: string;
  fecDevice?: string | undefined;
}

/** The arguments behind `verity`, as the kernel prints them. Source: drivers/md/dm-verity-target.c:verity_status */
export function formatArguments({ tree, rootHash, features, data, hashDevice, fecDevice }: VerityLineFields): string {
  const { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, start, salt } = tree;
  return [
    hashType,
    joinArgs([data, hashDevice]),
    ...[dataBlockSize, hashBlockSize, dataBlocks, start],
    joinArgs([hash]),
    Buffer.from(rootHash).toString('hex'),
    Buffer.from(salt).toString('hex') || '-',
    ...formatFeatures(features, fecDevice),
  ].join(' ');
}
