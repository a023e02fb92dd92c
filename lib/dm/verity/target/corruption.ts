import type { TargetContext, TargetEvent } from '../../target.js';
import type { VerityFeatures } from './features.js';

/** Bad blocks that the owner hears of: then he knows (DM_VERITY_MAX_CORRUPTED_ERRS). */
const mostEvents = 100;

/** What becomes of bad blocks. Source: drivers/md/dm-verity-target.c:verity_handle_err. */
export class Corruption {
  readonly #features: VerityFeatures;
  readonly #notify: TargetContext['notify'];
  #events = 0;
  /** Whether any block was bad and could not be corrected. It stays so. */
  found = false;

  constructor(features: VerityFeatures, notify: TargetContext['notify']) {
    this.#features = features;
    this.#notify = notify;
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
    return action === 'none';
  }

  corrected(area: TargetEvent['area'], block: number): void {
    this.#tell({ kind: 'corrected', area, block, action: 'none' });
  }

  /** A block could not be read, and nothing corrects it. */
  unreadable(area: TargetEvent['area'], block: number): void {
    const { errorMode } = this.#features;
    const action = errorMode ? ({ restart_on_error: 'restart', panic_on_error: 'panic' } as const)[errorMode] : 'fail';
    this.#tell({ kind: 'unreadable', area, block, action });
  }

  #tell(event: TargetEvent): void {
    if (this.#events++ < mostEvents) this.#notify(event);
  }
}
