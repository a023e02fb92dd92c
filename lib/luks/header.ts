import { LuksError } from './error.js';
import { formatLuks1, luks1Size, parseLuks1 } from './luks1.js';
import { copySize, formatCopies, type Luks2Copy, parseCopy, versionOf } from './luks2.js';
import type { Metadata, Stretch } from './metadata.js';
import { binarySize, headerSizes } from './validate.js';

/** What a header lies on: a Storage, or anything that has these of it. Offsets and sizes in bytes. */
export interface HeaderStorage {
  readonly size: number;
  /** Fills all of `into`. */
  read(into: Uint8Array, position: number): Promise<void>;
  write(from: Uint8Array, position: number): Promise<void>;
  flush(): Promise<void>;
  describe(): string;
}

/** A LUKS header, of either version, as it is in memory. */
export interface LuksHeader {
  version: 1 | 2;
  uuid: string;
  /** LUKS2 alone; otherwise empty. */
  label: string;
  subsystem: string;
  /** Bytes of one copy. */
  size: number;
  /** Of LUKS2: how often it was written. */
  sequence: bigint;
  metadata: Metadata;
  /** Of LUKS1: where the material of its eight slots lies. */
  areas?: Stretch[];
  /** Why a copy of the header cannot be used, or is older than the other. `repair` writes both anew. */
  damage: string[];
}

/** Reads the header of a storage. Nothing is written, whatever is damaged. @throws LuksError ENODEV, EINVAL */
export async function readHeader(storage: HeaderStorage): Promise<LuksHeader> {
  const first = await readAt(storage, 0, binarySize);
  if (first && versionOf(first) === 1 && first.length >= luks1Size)
    return { version: 1, label: '', subsystem: '', size: 1024, sequence: 0n, damage: [], ...parseLuks1(first) };
  const version = first && versionOf(first);
  if (version !== undefined && version !== 2)
    throw new LuksError('ENODEV', `${storage.describe()}: LUKS version ${version} is unknown; versions are 1 and 2`);
  return readLuks2(storage);
}

async function readLuks2(storage: HeaderStorage): Promise<LuksHeader> {
  const primary = await readCopy(storage, 0);
  const sizes = 'copy' in primary ? [primary.copy.size] : headerSizes;
  let secondary: Copy = { failure: undefined };
  for (const offset of sizes) {
    secondary = await readCopy(storage, offset);
    if ('copy' in secondary) break;
  }
  const found = ['copy' in primary && primary.copy, 'copy' in secondary && secondary.copy].filter((copy) => !!copy);
  const [newest] = found.sort((a, b) => (a.sequence < b.sequence ? 1 : a.sequence > b.sequence ? -1 : 0));
  if (!newest) {
    const why = 'failure' in primary ? primary.failure : undefined;
    if (why && !isNoHeader(why)) throw why;
    throw new LuksError(
      'ENODEV',
      `${storage.describe()}: no LUKS header; was it wiped, or is it in another file (--header)?`,
    );
  }
  const damage: string[] = [];
  for (const copy of [primary, secondary]) {
    if ('failure' in copy) damage.push(copy.failure?.message ?? 'LUKS2 header: the second copy is missing');
    else if (copy.copy.sequence !== newest.sequence)
      damage.push(
        `LUKS2 header: ${copy === primary ? 'the first' : 'the second'} copy is older ` +
          `(sequence ${copy.copy.sequence}, not ${newest.sequence})`,
      );
  }
  const { json: _, ...header } = newest;
  return { version: 2, ...header, damage };
}

type Copy = { copy: Luks2Copy } | { failure: LuksError | undefined };

async function readCopy(storage: HeaderStorage, offset: number): Promise<Copy> {
  try {
    const binary = await readAt(storage, offset, binarySize);
    if (binary?.length !== binarySize) return { failure: ended(storage, offset) };
    const size = copySize(binary, offset);
    const all = await readAt(storage, offset, size);
    if (all?.length !== size) return { failure: ended(storage, offset) };
    return { copy: parseCopy(all, offset) };
  } catch (error) {
    if (error instanceof LuksError) return { failure: error };
    throw error;
  }
}

function ended(storage: HeaderStorage, offset: number): LuksError {
  return new LuksError('ENODEV', `LUKS2 header at ${offset}: ${storage.describe()} ends before it`);
}

function isNoHeader(error: LuksError): boolean {
  return /no LUKS magic|ends before it/.test(error.message);
}

/** Up to `size` bytes from `offset`; undefined where the storage has none there. */
async function readAt(storage: HeaderStorage, offset: number, size: number): Promise<Buffer | undefined> {
  const length = Math.min(size, storage.size - offset);
  if (length <= 0) return undefined;
  const bytes = Buffer.alloc(length);
  await storage.read(bytes, offset);
  return bytes;
}

/**
 * Writes the header with its sequence number raised: one copy, a flush, the other copy, a flush. Whenever this is interrupted, one copy is
 * whole. `first`: 'secondary' where the first copy takes the place of another header, which is needed until then.
 * @throws LuksError ENOSPC where the metadata does not fit, before anything is written
 */
export async function writeHeader(
  storage: HeaderStorage,
  header: LuksHeader,
  first: 'primary' | 'secondary' = 'primary',
): Promise<void> {
  if (header.version === 1) {
    // The first sector, which has the version, last: where LUKS2's header was, the second copy of that opens until then.
    const bytes = formatLuks1({ ...header, areas: header.areas! });
    for (const offset of [512, 0]) {
      await storage.write(bytes.subarray(offset, offset + 512), offset);
      await storage.flush();
    }
    return;
  }
  header.sequence += 1n;
  const { primary, secondary } = formatCopies(header);
  const copies: [Buffer, number][] = [
    [primary, 0],
    [secondary, header.size],
  ];
  for (const [copy, offset] of first === 'primary' ? copies : copies.reverse()) {
    await storage.write(copy, offset);
    await storage.flush();
  }
}

/** Bytes from the start of the storage up to the end of the last area of key slots. */
export function headerEnd(header: LuksHeader): number {
  if (header.areas) {
    const last = Math.max(...header.areas.map(({ offset, size }) => offset + size));
    return Math.ceil(last / 4096) * 4096;
  }
  return 2 * header.size + Number(header.metadata.config.keyslots_size ?? 0);
}

/** What nobody here can do: refused by name, so that nothing is written over it. @throws LuksError ENOTSUP */
export function checkRequirements({ metadata }: LuksHeader): void {
  const known: Record<string, string> = {
    'offline-reencrypt': 're-encryption has begun; finish it with `cryptsetup reencrypt --resume-only`',
    'online-reencrypt': 're-encryption has begun; finish it with `cryptsetup reencrypt --resume-only`',
  };
  for (const name of metadata.config.requirements?.mandatory ?? []) {
    const why = known[name.replace(/-v\d+$/, '')] ?? 'it is not implemented here; open the volume with cryptsetup';
    throw new LuksError('ENOTSUP', `the LUKS2 header requires ${JSON.stringify(name)}: ${why}`);
  }
}
