import { readSecret } from '../../base/secret.js';
import { type LuksHeader, readHeader } from '../../luks/header.js';
import { HeaderFile } from '../../luks/header-file.js';
import { isDigestOf } from '../../luks/keyslot.js';
import { volumeDigest } from '../../luks/metadata.js';
import { type Unlocked, unlock } from '../../luks/unlock.js';
import { CliError, type Invocation } from '../command.js';
import { errorWords } from '../error-words.js';
import { Exit } from '../exit.js';
import { stringOption } from '../option-values.js';
import { readPassphrase } from '../passphrase.js';
import { untilStopped } from '../stop-signals.js';
import { slotOption } from './options.js';

/** IMAGE, the one argument that a verb takes. @throws CliError */
export function imageOf({ positionals }: Invocation): string {
  const [verb, image, ...more] = positionals;
  if (image === undefined || more.length)
    throw new CliError(
      `luks ${verb}: expected IMAGE, got ${positionals.length - 1} arguments; see 'dmalg luks --help'`,
    );
  return image;
}

/** The header that the options name; its storage is the caller's to close. Damage is told on stderr. */
export async function openHeader(
  invocation: Invocation,
  { readOnly = true }: { readOnly?: boolean } = {},
): Promise<{ storage: HeaderFile; header: LuksHeader }> {
  const path = stringOption(invocation, 'header') ?? imageOf(invocation);
  const storage = await HeaderFile.open(path, { readOnly });
  try {
    const header = await readHeader(storage);
    for (const damage of header.damage)
      process.stderr.write(`dmalg: warning: ${damage}; 'dmalg luks repair' writes it anew\n`);
    return { storage, header };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** Opens a header for `use`, and closes it. */
export async function withHeader(
  invocation: Invocation,
  options: { readOnly?: boolean },
  use: (storage: HeaderFile, header: LuksHeader) => Promise<number>,
): Promise<number> {
  const { storage, header } = await openHeader(invocation, options);
  try {
    return await use(storage, header);
  } finally {
    await storage.close();
  }
}

/** The volume key, by --volume-key-file or a passphrase; wiped when `use` has ended. `slot`: undefined with a volume key. */
export async function withVolumeKey<T>(
  invocation: Invocation,
  storage: HeaderFile,
  header: LuksHeader,
  use: (unlocked: { key: Buffer; slot: number | undefined }) => Promise<T>,
  slot = slotOption(invocation),
): Promise<T> {
  const unlocked =
    (await volumeKeyOption(invocation, header)) ??
    (await withPassphrase(invocation, storage, (passphrase) => unlockStoppable(storage, header, passphrase, slot)));
  try {
    return await use(unlocked);
  } finally {
    unlocked.key.fill(0);
  }
}

/** Lends a passphrase to `use`, and wipes it. */
export async function withPassphrase<T>(
  invocation: Invocation,
  storage: HeaderFile,
  use: (passphrase: Buffer) => Promise<T>,
): Promise<T> {
  const passphrase = readPassphrase(invocation, `passphrase for ${storage.describe()}`);
  try {
    return await use(passphrase);
  } finally {
    passphrase.fill(0);
  }
}

/** As unlock, which a signal ends between two slots. */
export function unlockStoppable(
  storage: HeaderFile,
  header: LuksHeader,
  passphrase: Uint8Array,
  slot: number | undefined,
): Promise<Unlocked> {
  return untilStopped((signal) => unlock(storage, header, passphrase, { slot, signal }));
}

/** @throws CliError */
async function volumeKeyOption(
  invocation: Invocation,
  header: LuksHeader,
): Promise<{ key: Buffer; slot: undefined } | undefined> {
  const key = volumeKeyFile(invocation);
  if (!key) return undefined;
  const digest = volumeDigest(header.metadata);
  if (digest && (await isDigestOf(digest, key))) return { key, slot: undefined };
  key.fill(0);
  throw new CliError('Volume key does not match the volume.', Exit.verification);
}

/** The bytes of --volume-key-file, for the caller to wipe. @throws CliError */
export function volumeKeyFile(invocation: Invocation): Buffer | undefined {
  const path = stringOption(invocation, 'volume-key-file');
  if (path === undefined) return undefined;
  try {
    return readSecret(path);
  } catch (error) {
    throw new CliError(`--volume-key-file: ${errorWords(error)}`, Exit.device);
  }
}
