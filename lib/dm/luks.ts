import { stat } from 'node:fs/promises';
import { copySecret } from '../base/secret.js';
import { LuksError } from '../luks/error.js';
import { checkRequirements, type LuksHeader, readHeader } from '../luks/header.js';
import { HeaderFile } from '../luks/header-file.js';
import { isDigestOf } from '../luks/keyslot.js';
import { dataSegment, volumeDigest } from '../luks/metadata.js';
import { unlock } from '../luks/unlock.js';
import { sectorSize as tableSector } from './bio.js';
import type { Device } from './device.js';
import { type OpenTableOptions, openTable } from './open-table.js';
import type { TableLine } from './table.js';

export interface OpenLuksOptions extends Omit<OpenTableOptions, 'keys'> {
  /** What opens a key slot. It, or `volumeKey`. Copied; the caller wipes its own. */
  passphrase?: Uint8Array;
  volumeKey?: Uint8Array;
  /** The slot that the passphrase is tried on. Default: each. */
  slot?: number | undefined;
  /** Where the header lies, if it is not before the data. */
  header?: string | undefined;
  /** Ends the search for a slot between two of them. */
  signal?: AbortSignal | undefined;
}

/**
 * Opens a LUKS1 or LUKS2 volume: its plaintext, as a device. `data`: a file or a block device.
 * @throws LuksError EPERM where the passphrase opens no slot; ENODEV where there is no LUKS header; TableError
 */
export async function openLuks(data: string, options: OpenLuksOptions): Promise<Device> {
  const { passphrase, volumeKey, slot, header: headerPath, signal, ...rest } = options;
  await using storage = await HeaderFile.open(headerPath ?? data);
  const header = await readHeader(storage);
  checkRequirements(header);
  const key = volumeKey
    ? await checkVolumeKey(header, volumeKey)
    : (await unlock(storage, header, passphrase ?? new Uint8Array(0), { slot, signal })).key;
  try {
    const size = headerPath === undefined ? storage.size : (await stat(data)).size;
    const name = keyDescription(header);
    const line = luksLine(header, data, size, `:${key.length}:logon:${name}`);
    return await openTable([line], { ...rest, keys: { [`logon:${name}`]: key } });
  } finally {
    key.fill(0);
  }
}

/** @throws LuksError EPERM */
async function checkVolumeKey(header: LuksHeader, key: Uint8Array): Promise<Buffer> {
  const digest = volumeDigest(header.metadata);
  if (!digest || !(await isDigestOf(digest, key)))
    throw new LuksError('EPERM', 'Volume key does not match the volume.');
  return copySecret(key);
}

/** The name that cryptsetup gives a volume's key in the keyring. Source: libcryptsetup's LUKS2_key_description_by_segment. */
export function keyDescription({ uuid }: LuksHeader): string {
  return `cryptsetup:${uuid}-d0`;
}

/** The flags of LUKS2's config in a table line's words. */
const flagWords: Record<string, string> = {
  'allow-discards': 'allow_discards',
  'same-cpu-crypt': 'same_cpu_crypt',
  'submit-from-crypt-cpus': 'submit_from_crypt_cpus',
  'no-read-workqueue': 'no_read_workqueue',
  'no-write-workqueue': 'no_write_workqueue',
  'high-priority': 'high_priority',
};

/**
 * The `crypt` line of a volume, as `cryptsetup open` gives it to the kernel. `data`: the device, as a line names it, of `dataSize` bytes;
 * `key`: the line's key argument. @throws LuksError where the segment is one that a line cannot express, or ends beyond the data
 */
export function luksLine(header: LuksHeader, data: string, dataSize: number, key: string): TableLine {
  const segment = dataSegment(header.metadata);
  if (segment?.type !== 'crypt')
    throw new LuksError('ENOTSUP', `data segment of type ${segment?.type ?? 'none'}: only crypt is implemented`);
  if (segment.integrity)
    throw new LuksError(
      'ENOTSUP',
      `the volume has integrity tags (${segment.integrity.type}), which is not implemented`,
    );
  if (Object.keys(header.metadata.segments).length > 1)
    throw new LuksError('ENOTSUP', 'there is more than one data segment');
  const offset = Number(segment.offset);
  const sectorSize = segment.sector_size!;
  const room = Math.floor(Math.max(0, dataSize - offset) / sectorSize) * sectorSize;
  const size = segment.size === 'dynamic' ? room : Number(segment.size);
  if (size === 0 || size > room)
    throw new LuksError(
      'ENODEV',
      `${data}: ends at byte ${dataSize}, the volume's data at ${offset + Math.max(size, sectorSize)}; was it truncated?`,
    );
  const flags = (header.metadata.config.flags ?? [])
    .map((flag) => flagWords[flag])
    .filter((word) => word !== undefined);
  const options = [...flags, ...(sectorSize === tableSector ? [] : [`sector_size:${sectorSize}`])];
  return {
    start: 0,
    length: size / tableSector,
    type: 'crypt',
    args: [
      ...[segment.encryption!, key, segment.iv_tweak ?? '0', data, String(offset / tableSector)],
      ...(options.length ? [String(options.length), ...options] : []),
    ],
  };
}
