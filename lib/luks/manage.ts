import { LuksError } from './error.js';
import { checkRequirements, type HeaderStorage, type LuksHeader, writeHeader } from './header.js';
import { makeKdf, passphraseSlot, wipeArea, writeKeyslot } from './keyslot.js';
import { luks1Keyslot, luks1Slots } from './luks1.js';
import { areaOf, dataSegment, type Keyslot, type Stretch, slotNumbers, volumeDigest } from './metadata.js';
import { nodeHash, type Pbkdf } from './pbkdf.js';
import { maxSlots } from './validate.js';

/**
 * Changes of key slots. Each writes new material and flushes it before the header that names it, so that whatever a kill leaves behind, every
 * passphrase that was to stay opens. All change `header` as they change the storage.
 */

export interface NewKey {
  /** The volume key. */
  key: Uint8Array;
  passphrase: Uint8Array;
  pbkdf: Pbkdf;
  /** Default: the first one that is free. */
  slot?: number | undefined;
  /** Hash of the anti-forensic splitter. Default: the volume digest's. LUKS1 has one hash for everything. */
  hash?: string | undefined;
}

/** Adds a passphrase: the number of its slot. @throws LuksError EEXIST, ENOSPC */
export async function addKey(storage: HeaderStorage, header: LuksHeader, added: NewKey): Promise<number> {
  checkRequirements(header);
  const slot = added.slot ?? freeSlot(header);
  if (!Number.isInteger(slot) || slot < 0 || slot >= slotCount(header))
    throw new LuksError('EINVAL', `key slot ${slot}: LUKS${header.version} has slots 0 to ${slotCount(header) - 1}`);
  if (header.metadata.keyslots[slot]) throw new LuksError('EEXIST', `key slot ${slot} is in use; kill it first`);
  const digest = volumeDigest(header.metadata);
  if (!digest) throw new LuksError('EINVAL', 'the header has no digest of the volume key');
  header.metadata.keyslots[slot] = await writeNewSlot(storage, header, slot, added);
  digest.keyslots.push(String(slot));
  await writeHeader(storage, header);
  return slot;
}

/**
 * Replaces the passphrase of a slot, or its costs: the number of the slot afterwards. In LUKS2 the number stays, and the material moves; in LUKS1 each
 * slot has its place, so that another slot takes over. @throws LuksError ENOSPC where there is no room beside the old one
 */
export async function changeKey(
  storage: HeaderStorage,
  header: LuksHeader,
  slot: number,
  changed: NewKey,
): Promise<number> {
  checkRequirements(header);
  const old = passphraseSlot(header.metadata, slot);
  if (header.version === 1) {
    const other = await addKey(storage, header, changed);
    await killSlot(storage, header, slot);
    return other;
  }
  const fresh = await writeNewSlot(storage, header, slot, changed);
  header.metadata.keyslots[slot] = { ...old, ...fresh };
  await writeHeader(storage, header);
  await wipeArea(storage, areaOf(old));
  return slot;
}

/** Wipes the material of a slot, then takes it out of the header. @throws LuksError ENOENT */
export async function killSlot(storage: HeaderStorage, header: LuksHeader, slot: number): Promise<void> {
  checkRequirements(header);
  const keyslot = header.metadata.keyslots[slot];
  if (!keyslot) throw new LuksError('ENOENT', `key slot ${slot} is not in use`);
  if (keyslot.type === 'reencrypt') throw new LuksError('ENOTSUP', `key slot ${slot} belongs to re-encryption`);
  await wipeArea(storage, areaOf(keyslot));
  forget(header, slot);
  await writeHeader(storage, header);
}

/** Wipes the material of all slots: nobody opens the volume again, unless from a backup of the header. */
export async function eraseKeys(storage: HeaderStorage, header: LuksHeader): Promise<void> {
  checkRequirements(header);
  const { metadata } = header;
  for (const slot of slotNumbers(metadata)) await wipeArea(storage, areaOf(metadata.keyslots[slot]!));
  for (const slot of slotNumbers(metadata)) forget(header, slot);
  await writeHeader(storage, header);
}

function forget({ metadata }: LuksHeader, slot: number): void {
  delete metadata.keyslots[slot];
  const without = (names: string[]) => names.filter((name) => name !== String(slot));
  for (const digest of Object.values(metadata.digests)) digest.keyslots = without(digest.keyslots);
  for (const token of Object.values(metadata.tokens)) token.keyslots = without(token.keyslots);
  // The digest of an unbound key goes with its last slot.
  for (const [number, { keyslots, segments }] of Object.entries(metadata.digests))
    if (keyslots.length === 0 && segments.length === 0) delete metadata.digests[number];
}

async function writeNewSlot(
  storage: HeaderStorage,
  header: LuksHeader,
  slot: number,
  { key, passphrase, pbkdf, hash }: NewKey,
): Promise<Keyslot> {
  const keyslot =
    header.version === 1 ? newLuks1Slot(header, slot, pbkdf) : newLuks2Slot(header, key.length, pbkdf, hash);
  const { offset, size } = areaOf(keyslot);
  if (offset + size > storage.size)
    throw new LuksError(
      'EINVAL',
      `${storage.describe()} ends at byte ${storage.size}, before the end of key slot ${slot}`,
    );
  await writeKeyslot(storage, keyslot, key, passphrase);
  return keyslot;
}

function newLuks1Slot(header: LuksHeader, slot: number, pbkdf: Pbkdf): Keyslot {
  const { encryption } = dataSegment(header.metadata)!;
  const { hash } = volumeDigest(header.metadata)!;
  if (pbkdf.type !== 'pbkdf2' || nodeHash(pbkdf.hash) !== nodeHash(hash))
    throw new LuksError(
      'ENOTSUP',
      `LUKS1 has pbkdf2 with the volume's hash ${hash}, and nothing else; see 'luks convert'`,
    );
  const keySize = newKeySize(header);
  return luks1Keyslot(encryption!, keySize, hash, header.areas![slot]!, makeKdf({ ...pbkdf, hash }));
}

function newKeySize({ metadata, areas }: LuksHeader): number {
  const [slot] = slotNumbers(metadata);
  return slot === undefined ? Math.floor(areas![0]!.size / 4000) : metadata.keyslots[slot]!.key_size;
}

const stripes = 4000;

/** The cipher of a slot is the volume's where that works by sectors of 512 bytes, as in libcryptsetup's LUKS2_keyslot_params_default. */
function newLuks2Slot(header: LuksHeader, keySize: number, pbkdf: Pbkdf, hash?: string): Keyslot {
  const { metadata } = header;
  const segment = dataSegment(metadata)!;
  const isOwn = !segment.integrity && !/null|^capi:/.test(segment.encryption!);
  const encryption = isOwn ? segment.encryption! : 'aes-xts-plain64';
  const size = Math.ceil((keySize * stripes) / 4096) * 4096;
  const { offset } = freeArea(header, size);
  return {
    type: 'luks2',
    key_size: keySize,
    af: { type: 'luks1', stripes, hash: hash ?? volumeDigest(metadata)!.hash },
    area: {
      type: 'raw',
      offset: String(offset),
      size: String(size),
      encryption,
      key_size: isOwn ? keySize : 64,
    },
    kdf: makeKdf(pbkdf),
  };
}

/** The first gap between the areas of LUKS2's slots. @throws LuksError ENOSPC */
export function freeArea({ metadata, size: headerSize }: LuksHeader, size: number): Stretch {
  const areas = slotNumbers(metadata)
    .map((slot) => areaOf(metadata.keyslots[slot]!))
    .sort((a, b) => a.offset - b.offset);
  const end = 2 * headerSize + Number(metadata.config.keyslots_size ?? 0);
  let offset = 2 * headerSize;
  for (const area of areas) {
    if (area.offset - offset >= size) break;
    offset = area.offset + area.size;
  }
  if (offset + size > end)
    throw new LuksError(
      'ENOSPC',
      `no room for the material of another key slot (${size} bytes): remove a key slot first`,
    );
  return { offset, size };
}

export function slotCount({ version }: LuksHeader): number {
  return version === 1 ? luks1Slots : maxSlots;
}

function freeSlot(header: LuksHeader): number {
  for (let slot = 0; slot < slotCount(header); slot++) if (!header.metadata.keyslots[slot]) return slot;
  throw new LuksError('ENOSPC', `all ${slotCount(header)} key slots are in use: remove one first`);
}
