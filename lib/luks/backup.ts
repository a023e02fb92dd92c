import { LuksError } from './error.js';
import { type HeaderStorage, headerEnd, type LuksHeader, readHeader, writeHeader } from './header.js';
import { dataSegment } from './metadata.js';

const mebibyte = 1 << 20;

/** Bytes of a backup: header and key slots, rounded up to pages as cryptsetup's are. */
export function backupSize(header: LuksHeader): number {
  return Math.ceil(headerEnd(header) / 4096) * 4096;
}

/** Copies header and key slots into `backup`, which then opens like the volume itself. */
export async function backUpHeader(
  storage: HeaderStorage,
  header: LuksHeader,
  backup: Pick<HeaderStorage, 'write'>,
): Promise<void> {
  await copy(storage, backup, backupSize(header));
}

export interface RestoreOptions {
  /** Also where the storage holds another volume's header, or none. Its key slots are lost then. */
  force?: boolean;
}

/**
 * Writes a backup's key slots and header over those of a storage. The slots go first, and the header's first sectors last.
 * @throws LuksError EEXIST where the header there is of another volume, or puts the data elsewhere
 */
export async function restoreHeader(
  storage: HeaderStorage,
  backup: HeaderStorage,
  { force = false }: RestoreOptions = {},
): Promise<LuksHeader> {
  const header = await readHeader(backup);
  const size = backupSize(header);
  if (backup.size < size)
    throw new LuksError('EINVAL', `${backup.describe()}: ${backup.size} bytes are no backup of a header of ${size}`);
  if (storage.size < size)
    throw new LuksError('EINVAL', `${storage.describe()}: ${storage.size} bytes have no room for a header of ${size}`);
  if (!force) await checkSameVolume(storage, header);
  await copy(backup, storage, size, 4096);
  const first = Buffer.alloc(4096);
  await backup.read(first, 0);
  await storage.flush();
  await storage.write(first, 0);
  await storage.flush();
  return header;
}

async function checkSameVolume(storage: HeaderStorage, header: LuksHeader): Promise<void> {
  const refuse = (why: string) =>
    new LuksError('EEXIST', `${storage.describe()}: ${why}; --batch-mode restores all the same`);
  let there: LuksHeader;
  try {
    there = await readHeader(storage);
  } catch (error) {
    if (error instanceof LuksError) throw refuse('has no LUKS header that can be read');
    throw error;
  }
  if (there.uuid !== header.uuid)
    throw refuse(`holds another volume (UUID ${there.uuid}, the backup's ${header.uuid})`);
  const [now, then] = [dataSegment(there.metadata)?.offset, dataSegment(header.metadata)?.offset];
  if (now !== then) throw refuse(`its data begins at byte ${now}, and the backup's at ${then}`);
  if (there.version !== header.version || there.size !== header.size)
    throw refuse(
      `its header is LUKS${there.version} of ${there.size} bytes, the backup's LUKS${header.version} of ${header.size}`,
    );
}

/** Writes both copies of a damaged LUKS2 header anew, from the one that is whole: whether there was damage. */
export async function repairHeader(storage: HeaderStorage, header: LuksHeader): Promise<boolean> {
  if (header.damage.length === 0) return false;
  await writeHeader(storage, header);
  return true;
}

async function copy(
  from: Pick<HeaderStorage, 'read'>,
  to: Pick<HeaderStorage, 'write'>,
  size: number,
  start = 0,
): Promise<void> {
  for (let at = start; at < size; at += mebibyte) {
    const bytes = Buffer.alloc(Math.min(mebibyte, size - at));
    await from.read(bytes, at);
    await to.write(bytes, at);
  }
}
