import { LuksError } from './error.js';
import { checkRequirements, type HeaderStorage, type LuksHeader } from './header.js';
import { openKeyslot, passphraseSlot } from './keyslot.js';
import { isBound, slotNumbers } from './metadata.js';

/** A key, and the slot that it came from. Whoever has it wipes it. */
export interface Unlocked {
  slot: number;
  key: Buffer;
}

export interface UnlockOptions {
  /** This slot alone, also if its priority is 0. Default: each that holds the volume key, by priority. */
  slot?: number | undefined;
  /** Ends the search between two slots. */
  signal?: AbortSignal | undefined;
}

/**
 * Finds the slot that a passphrase opens. A slot that cannot be tried (no memory, unknown cipher) does not keep the others from being
 * tried; its error is thrown if none opens. @throws LuksError EPERM where no slot opens, ENOENT where there is none to try
 */
export async function unlock(
  storage: HeaderStorage,
  header: LuksHeader,
  passphrase: Uint8Array,
  { slot, signal }: UnlockOptions = {},
): Promise<Unlocked> {
  checkRequirements(header);
  const { metadata } = header;
  const slots = slot === undefined ? slotsToTry(header) : [slot];
  if (slot !== undefined) passphraseSlot(metadata, slot);
  if (slots.length === 0)
    throw new LuksError('ENOENT', `${storage.describe()}: no key slot is in use, so no passphrase opens it`);
  let failure: unknown;
  for (const number of slots) {
    signal?.throwIfAborted();
    try {
      const key = await openKeyslot(storage, metadata, number, passphrase);
      if (key) return { slot: number, key };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure ?? new LuksError('EPERM', 'No key available with this passphrase.');
}

function slotsToTry({ metadata }: LuksHeader): number[] {
  const priority = (slot: number) => metadata.keyslots[slot]!.priority ?? 1;
  return slotNumbers(metadata)
    .filter((slot) => metadata.keyslots[slot]!.type === 'luks2' && isBound(metadata, slot) && priority(slot) > 0)
    .sort((a, b) => priority(b) - priority(a) || a - b);
}
