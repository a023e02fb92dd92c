import type { MemoryUsage } from '../../../base/mempool.js';
import { VerityError } from '../../../verity/error.js';
import type { Tree } from '../../../verity/parameters.js';
import type { TrustedHashes } from '../../../verity/trusted-hashes.js';
import type { Area } from '../../area.js';
import type { Bio } from '../../bio.js';
import type { TargetHoldings } from '../../holdings.js';
import type { BlockDevice, Target } from '../../target.js';
import type { BioVerifier } from './bio-verifier.js';
import type { Corruption } from './corruption.js';
import type { VerityFeatures } from './features.js';
import { formatArguments } from './line.js';

export interface VerityTargetFields {
  tree: Tree;
  /** The algorithm as the line names it. */
  hash: string;
  rootHash: Buffer;
  features: VerityFeatures;
  data: Area;
  hashDevice: BlockDevice;
  fecDevice: BlockDevice | undefined;
  hashes: TrustedHashes;
  corruption: Corruption;
  verifier: BioVerifier;
}

/**
 * `<0|1> <data_dev> <hash_dev> <data_block_size> <hash_block_size> <data_blocks> <hash_start> <algorithm> <root> <salt|-> [<#opts> <opt>...]`
 * (drivers/md/dm-verity-target.c).
 */
export class VerityTarget implements Target {
  readonly blockSize: number;
  /** Longer reads are cut, so that what a bio holds is bounded. */
  readonly maxSectors = 2048;
  readonly #fields: VerityTargetFields;

  constructor(fields: VerityTargetFields) {
    this.#fields = fields;
    this.blockSize = Math.max(fields.tree.dataBlockSize, fields.data.device.blockSize);
  }

  /** verity_map */
  map(bio: Bio): void {
    const unit = this.#fields.tree.dataBlockSize / 512;
    const failed = [{ first: 0, count: bio.sectors }];
    if (bio.op !== 'read') bio.end({ code: 'EIO', failed, cause: new VerityError('verity is read-only') });
    else if (bio.sector % unit || bio.sectors % unit)
      bio.end({ code: 'EIO', failed, cause: new VerityError('unaligned io') });
    else void this.#fields.verifier.read(bio);
  }

  status(kind: 'info' | 'table'): string {
    const { tree, hash, rootHash, features, data, hashDevice, fecDevice, corruption } = this.#fields;
    // Since Linux 6.19 with the number of blocks that FEC has corrected.
    if (kind === 'info') return `${corruption.found ? 'C' : 'V'} ${fecDevice ? corruption.corrections : '-'}`;
    return formatArguments({
      tree: { ...tree, hash },
      rootHash,
      features,
      data: data.device.describe(),
      hashDevice: hashDevice.describe(),
      fecDevice: fecDevice?.describe(),
    });
  }

  memoryUsage(): MemoryUsage {
    return this.#fields.verifier.memoryUsage();
  }

  holdings(): Partial<TargetHoldings> {
    return this.#fields.verifier.holdings();
  }

  /** verity_postsuspend: the device below may be another one when it goes on. */
  postsuspend(): void {
    this.#fields.hashes.clear();
  }

  close(): void {
    this.#fields.tree.hasher.close();
  }
}
