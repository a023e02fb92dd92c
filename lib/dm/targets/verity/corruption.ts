import { type CorruptionEvent, tellCorrection, tellCorruption } from '../../../base/observe.js';
import type { Tree } from '../../../verity/parameters.js';
import type { BlockDevice, TargetContext, TargetEvent } from '../../target.js';
import type { VerityFeatures } from './features.js';

/** Bad blocks that the owner hears of: then he knows (DM_VERITY_MAX_CORRUPTED_ERRS). */
const mostEvents = 100;

const outcomes = { none: 'ignored', fail: 'failed', restart: 'restart', panic: 'panic' } as const;

/** Where the blocks lie. */
export type CorruptionDevices = Record<TargetEvent['area'], BlockDevice>;

/** What becomes of bad blocks. Source: drivers/md/dm-verity-target.c:verity_handle_err. */
export class Corruption {
  readonly #features: VerityFeatures;
  readonly #notify: TargetContext['notify'];
  readonly #tree: Tree;
  readonly #devices: CorruptionDevices;
  #events = 0;
  /** Whether any block was bad and could not be corrected. It stays so. */
  found = false;
  /** Corrections by FEC, of a block each; one that is read again counts again. */
  corrections = 0;

  constructor(features: VerityFeatures, notify: TargetContext['notify'], tree: Tree, devices: CorruptionDevices) {
    this.#features = features;
    this.#notify = notify;
    this.#tree = tree;
    this.#devices = devices;
  }

  /** A block is bad, and nothing corrects it. Returns whether it is to be used as it is. */
  corrupted(area: TargetEvent['area'], block: number): boolean {
    const { mode } = this.#features;
    const actions = {
      ignore_corruption: 'none',
      restart_on_corruption: 'restart',
      panic_on_corruption: 'panic',
    } as const;
    const action = mode ? actions[mode] : 'fail';
    this.found = true;
    this.#tell({ kind: 'corrupted', area, block, action });
    tellCorruption({ ...this.#place(area, block), kind: 'corrupted', outcome: outcomes[action] });
    return action === 'none';
  }

  /** FEC has corrected a block that was bad, or could not be read. */
  corrected(area: TargetEvent['area'], block: number, kind: 'corrupted' | 'unreadable'): void {
    this.corrections++;
    this.#tell({ kind: 'corrected', area, block, action: 'none' });
    const place = this.#place(area, block);
    tellCorruption({ ...place, kind, outcome: 'corrected' });
    tellCorrection({ ...place, by: 'fec' });
  }

  /** A block was bad, and when it was read again it was not: its bytes had been changed meanwhile. Nobody but those who watch hears of it. */
  reread(block: number): void {
    const place = this.#place('data', block);
    tellCorruption({ ...place, kind: 'corrupted', outcome: 'reread' });
    tellCorrection({ ...place, by: 'reread' });
  }

  /** A block could not be read, and nothing corrects it. */
  unreadable(area: TargetEvent['area'], block: number): void {
    const { errorMode } = this.#features;
    const action = errorMode ? ({ restart_on_error: 'restart', panic_on_error: 'panic' } as const)[errorMode] : 'fail';
    this.#tell({ kind: 'unreadable', area, block, action });
    tellCorruption({ ...this.#place(area, block), kind: 'unreadable', outcome: outcomes[action] });
  }

  #place(area: TargetEvent['area'], block: number): Pick<CorruptionEvent, 'area' | 'level' | 'block' | 'device'> {
    const { start, layout } = this.#tree;
    const at = block - start;
    const level =
      area === 'data' ? -1 : layout.levels.findIndex(({ first, blocks }) => at >= first && at < first + blocks);
    return { area, level, block, device: this.#devices[area].describe() };
  }

  #tell(event: TargetEvent): void {
    if (this.#events++ < mostEvents) this.#notify(event);
  }
}
