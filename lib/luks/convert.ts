import { LuksError } from './error.js';
import { alignUp } from './format.js';
import { checkRequirements, type HeaderStorage, headerEnd, type LuksHeader, writeHeader } from './header.js';
import { wipeArea } from './keyslot.js';
import { luks1Slots, luks1Stripes } from './luks1.js';
import { areaOf, dataSegment, type Stretch, slotNumbers, volumeDigest } from './metadata.js';
import { nodeHash } from './pbkdf.js';
import { binarySize, maxKeyslotsSize } from './validate.js';

/** One copy of the LUKS2 header that replaces LUKS1's: the smallest. */
const copySize = 16 << 10;
const copiesEnd = 2 * copySize;

/** Slots whose place stands in the first sector of LUKS1's header: two of them change places in one write. */
const firstSectorSlots = 6;

/**
 * Converts a LUKS1 header to LUKS2. Key material that lies where LUKS2's two copies go is moved first, while LUKS1's header names it. The
 * second copy is written before the first, which takes the place of LUKS1's header: whenever this is interrupted, one header is whole.
 * @throws LuksError ENOSPC where there is no room to move material to
 */
export async function convertToLuks2(storage: HeaderStorage, header: LuksHeader): Promise<LuksHeader> {
  if (header.version === 2) throw new LuksError('EINVAL', `${storage.describe()}: is LUKS2 already`);
  const { metadata } = header;
  const payload = Number(dataSegment(metadata)!.offset);
  const end = payload === 0 ? storage.size : payload;
  const left = await moveAway(storage, header, end);
  const keyslots = Object.fromEntries(
    slotNumbers(metadata).map((slot) => {
      const { area, ...keyslot } = metadata.keyslots[slot]!;
      return [slot, { ...keyslot, area: { ...area, size: String(alignUp(Number(area.size), 4096)) } }];
    }),
  );
  const keyslotsSize = Math.min(Math.floor((end - copiesEnd) / 4096) * 4096, maxKeyslotsSize);
  const converted: LuksHeader = {
    version: 2,
    uuid: header.uuid,
    label: '',
    subsystem: '',
    size: copySize,
    sequence: 0n,
    damage: [],
    metadata: {
      ...metadata,
      keyslots,
      config: { json_size: String(copySize - binarySize), keyslots_size: String(keyslotsSize) },
    },
  };
  const odd = Object.values(keyslots).find(({ area }) => Number(area.offset) % 4096);
  if (odd) throw new LuksError('ENOTSUP', `key material at byte ${odd.area.offset}: LUKS2 has it at multiples of 4096`);
  await writeHeader(storage, converted, 'secondary');
  for (const area of left) await wipeArea(storage, area);
  return converted;
}

/**
 * Moves the material of slots that LUKS2's copies would overwrite: what the old places leave behind, for the caller to wipe. A free
 * slot changes places with it, or it goes behind the last one.
 */
async function moveAway(storage: HeaderStorage, header: LuksHeader, end: number): Promise<Stretch[]> {
  const areas = header.areas!;
  const { keyslots } = header.metadata;
  const left: Stretch[] = [];
  for (const slot of slotNumbers(header.metadata)) {
    const old = areas[slot]!;
    if (old.offset >= copiesEnd) continue;
    const isInFirst = (number: number) => number < firstSectorSlots;
    const free = areas.findIndex(
      ({ offset }, other) => isInFirst(slot) && isInFirst(other) && !keyslots[other] && offset >= copiesEnd,
    );
    const behind = headerEnd(header);
    if (free < 0 && behind + old.size > end)
      throw new LuksError(
        'ENOSPC',
        `key slot ${slot} lies where LUKS2's header goes, and no other slot is free to move it to: remove a key slot first`,
      );
    const fresh = free < 0 ? { offset: behind, size: old.size } : areas[free]!;
    const material = Buffer.alloc(old.size);
    await storage.read(material, old.offset);
    await storage.write(material, fresh.offset);
    await storage.flush();
    if (free >= 0) areas[free] = old;
    areas[slot] = fresh;
    keyslots[slot]!.area.offset = String(fresh.offset);
    await writeHeader(storage, header);
    const rest = old.offset + old.size - copiesEnd;
    if (rest > 0) left.push({ offset: copiesEnd, size: rest });
  }
  return left;
}

/**
 * Converts a LUKS2 header to LUKS1, in whose terms everything has to be: PBKDF2 alone, one hash, one cipher, sectors of 512
 * bytes, slots 0 to 7, no tokens. Key material stays where it is. @throws LuksError ENOTSUP, naming what LUKS1 has not
 */
export async function convertToLuks1(storage: HeaderStorage, header: LuksHeader): Promise<LuksHeader> {
  if (header.version === 1) throw new LuksError('EINVAL', `${storage.describe()}: is LUKS1 already`);
  checkRequirements(header);
  const { metadata } = header;
  checkFitsLuks1(header);
  const keySize = Object.values(metadata.keyslots)[0]!.key_size;
  const size = Math.ceil((keySize * luks1Stripes) / 512) * 512;
  const used = slotNumbers(metadata).map((slot) => areaOf(metadata.keyslots[slot]!));
  const payload = Number(dataSegment(metadata)!.offset);
  const end = payload === 0 ? storage.size : payload;
  const areas: Stretch[] = [];
  let at = 4096;
  for (let slot = 0; slot < luks1Slots; slot++) {
    const keyslot = metadata.keyslots[slot];
    if (keyslot) {
      areas.push({ offset: areaOf(keyslot).offset, size });
      continue;
    }
    // The first place that no slot's material lies in.
    for (;;) {
      const other = used.find((area) => area.offset < at + size && at < area.offset + area.size);
      if (!other) break;
      at = alignUp(other.offset + other.size, 4096);
    }
    if (at + size > end) throw unfit(`there is no room for the material of key slot ${slot} before the data`);
    areas.push({ offset: at, size });
    at = alignUp(at + size, 4096);
  }
  const [digest] = Object.values(metadata.digests);
  const converted: LuksHeader = {
    version: 1,
    uuid: header.uuid,
    label: '',
    subsystem: '',
    size: 1024,
    sequence: 0n,
    areas,
    damage: [],
    metadata: { ...metadata, digests: { 0: digest! }, segments: { 0: dataSegment(metadata)! } },
  };
  await writeHeader(storage, converted);
  // LUKS2's copies are no headers any more: neither is to be found by a search for them.
  const zeroes = Buffer.alloc(512);
  await storage.write(zeroes, header.size);
  await storage.flush();
  return converted;
}

function checkFitsLuks1(header: LuksHeader): void {
  const { metadata, label, subsystem } = header;
  const segment = dataSegment(metadata)!;
  const digest = volumeDigest(metadata);
  if (Object.keys(metadata.segments).length !== 1 || segment.type !== 'crypt')
    throw unfit('there is more than one segment');
  if (segment.sector_size !== 512) throw unfit(`sectors have ${segment.sector_size} bytes, not 512`);
  if (segment.integrity) throw unfit('the data has integrity tags');
  if (segment.size !== 'dynamic' || segment.iv_tweak !== '0')
    throw unfit('the data segment has a size or an IV offset');
  if (Object.keys(metadata.tokens).length) throw unfit('there are tokens');
  if (label || subsystem) throw unfit('there is a label or a subsystem');
  if (metadata.config.flags?.length) throw unfit(`there are flags: ${metadata.config.flags.join(', ')}`);
  if (!digest || Object.keys(metadata.digests).length !== 1) throw unfit('there is not one digest');
  if (digest.type !== 'pbkdf2' || Buffer.from(digest.digest, 'base64').length < 20)
    throw unfit('the digest is too short');
  if (Object.keys(metadata.keyslots).length === 0) throw unfit('there is no key slot');
  for (const slot of slotNumbers(metadata)) {
    const { kdf, af, area, key_size, type } = metadata.keyslots[slot]!;
    if (slot >= luks1Slots) throw unfit(`key slot ${slot} is beyond 7`);
    if (type !== 'luks2' || kdf?.type !== 'pbkdf2')
      throw unfit(`key slot ${slot} is ${kdf?.type ?? type}, not pbkdf2: see 'luks convert-key --pbkdf pbkdf2'`);
    if (Buffer.from(kdf.salt, 'base64').length !== 32) throw unfit(`key slot ${slot} has a salt of another size`);
    if (nodeHash(kdf.hash) !== nodeHash(digest.hash) || nodeHash(af!.hash) !== nodeHash(digest.hash))
      throw unfit(`key slot ${slot} has another hash than the volume's ${digest.hash}`);
    if (area.encryption !== segment.encryption || area.key_size !== key_size)
      throw unfit(`key slot ${slot} is encrypted with ${area.encryption}, the data with ${segment.encryption}`);
    if (!digest.keyslots.includes(String(slot))) throw unfit(`key slot ${slot} is unbound`);
  }
}

function unfit(why: string): LuksError {
  return new LuksError('ENOTSUP', `cannot be LUKS1: ${why}`);
}
