import type { LuksHeader } from '../../luks/header.js';
import type { HeaderFile } from '../../luks/header-file.js';
import { addKey as addSlot, changeKey as changeSlot, eraseKeys, killSlot as killOne } from '../../luks/manage.js';
import { slotNumbers, volumeDigest } from '../../luks/metadata.js';
import type { Pbkdf } from '../../luks/pbkdf.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { newPassphraseOptions, readPassphrase } from '../passphrase.js';
import { unlockStoppable, withHeader, withPassphrase, withVolumeKey } from './open.js';
import { flag, pbkdfOption, slotOption } from './options.js';

const forWriting = { readOnly: false };

/** `dmalg luks test IMAGE`: is this passphrase right, and in which slot. */
export async function testKey(invocation: Invocation): Promise<number> {
  return withHeader(invocation, {}, (storage, header) =>
    withVolumeKey(invocation, storage, header, async ({ slot }) => {
      const json = { slot: slot ?? null };
      const text = slot === undefined ? 'The volume key is right.' : `Key slot ${slot} unlocked.`;
      process.stdout.write(flag(invocation, 'json') ? `${JSON.stringify(json)}\n` : `${text}\n`);
      return Exit.done;
    }),
  );
}

/** `dmalg luks add-key IMAGE` */
export async function addKey(invocation: Invocation): Promise<number> {
  return withHeader(invocation, forWriting, (storage, header) =>
    withVolumeKey(
      invocation,
      storage,
      header,
      async ({ key }) => {
        const pbkdf = await costs(invocation, header, key.length);
        return withNewPassphrase(invocation, storage, async (passphrase) => {
          const slot = await addSlot(storage, header, {
            key,
            passphrase,
            pbkdf,
            slot: slotOption(invocation, 'new-key-slot'),
          });
          return done(invocation, `Key slot ${slot} created.`);
        });
      },
      slotOption(invocation),
    ),
  );
}

/** `dmalg luks change-key IMAGE`: another passphrase in the slot that the old one opens. */
export async function changeKey(invocation: Invocation): Promise<number> {
  return withHeader(invocation, forWriting, (storage, header) =>
    withPassphrase(invocation, storage, async (old) => {
      const { key, slot } = await unlockStoppable(storage, header, old, slotOption(invocation));
      try {
        const pbkdf = await costs(invocation, header, key.length);
        return await withNewPassphrase(invocation, storage, async (passphrase) => {
          const changed = await changeSlot(storage, header, slot, { key, passphrase, pbkdf });
          return done(invocation, `Key slot ${slot} changed${changed === slot ? '' : `; it is slot ${changed} now`}.`);
        });
      } finally {
        key.fill(0);
      }
    }),
  );
}

/** `dmalg luks convert-key IMAGE`: the same passphrase, other costs. */
export async function convertKey(invocation: Invocation): Promise<number> {
  return withHeader(invocation, forWriting, (storage, header) => {
    if (header.version === 1) throw new CliError("luks convert-key: LUKS1 has pbkdf2 alone; see 'dmalg luks convert'");
    return withPassphrase(invocation, storage, async (passphrase) => {
      const { key, slot } = await unlockStoppable(storage, header, passphrase, slotOption(invocation));
      try {
        const pbkdf = await costs(invocation, header, key.length);
        await changeSlot(storage, header, slot, { key, passphrase, pbkdf });
        return done(invocation, `Key slot ${slot} converted to ${pbkdf.type}.`);
      } finally {
        key.fill(0);
      }
    });
  });
}

/** `dmalg luks remove-key IMAGE`: kills the slot that a passphrase opens. */
export async function removeKey(invocation: Invocation): Promise<number> {
  return withHeader(invocation, forWriting, (storage, header) =>
    withPassphrase(invocation, storage, async (passphrase) => {
      const { key, slot } = await unlockStoppable(storage, header, passphrase, slotOption(invocation));
      key.fill(0);
      checkNotLast(invocation, header, slot);
      await killOne(storage, header, slot);
      return done(invocation, `Key slot ${slot} removed.`);
    }),
  );
}

/** `dmalg luks kill-slot IMAGE --key-slot N`: needs no passphrase, as with cryptsetup's --batch-mode. */
export async function killSlot(invocation: Invocation): Promise<number> {
  const slot = slotOption(invocation);
  if (slot === undefined) throw new CliError('luks kill-slot: --key-slot is missing');
  return withHeader(invocation, forWriting, async (storage, header) => {
    checkNotLast(invocation, header, slot);
    await killOne(storage, header, slot);
    return done(invocation, `Key slot ${slot} removed.`);
  });
}

/** `dmalg luks erase IMAGE`: nobody opens it again. */
export async function erase(invocation: Invocation): Promise<number> {
  return withHeader(invocation, forWriting, async (storage, header) => {
    confirm(
      invocation,
      `luks erase: wipes all ${slotNumbers(header.metadata).length} key slots, and with them the data`,
    );
    await eraseKeys(storage, header);
    return done(invocation, 'All key slots are wiped.');
  });
}

/** @throws CliError without --batch-mode */
export function confirm(invocation: Invocation, what: string): void {
  if (!flag(invocation, 'batch-mode')) throw new CliError(`${what}; --batch-mode does it`, Exit.busy);
}

function checkNotLast(invocation: Invocation, header: LuksHeader, slot: number): void {
  if (!header.metadata.keyslots[slot]) return;
  const others = volumeDigest(header.metadata)?.keyslots.filter((name) => Number(name) !== slot) ?? [];
  if (others.length === 0) confirm(invocation, `key slot ${slot} is the last one: without it nobody opens the volume`);
}

/** New slots cost what the options say; LUKS1 has the volume's hash. */
function costs(invocation: Invocation, header: LuksHeader, keySize: number): Promise<Pbkdf> {
  return pbkdfOption(invocation, header.version, volumeDigest(header.metadata)?.hash ?? 'sha256', keySize);
}

async function withNewPassphrase<T>(
  invocation: Invocation,
  storage: HeaderFile,
  use: (passphrase: Buffer) => Promise<T>,
): Promise<T> {
  const prompt = `new passphrase for ${storage.describe()}`;
  const passphrase = readPassphrase(invocation, prompt, { options: newPassphraseOptions, isNew: true });
  try {
    return await use(passphrase);
  } finally {
    passphrase.fill(0);
  }
}

/** cryptsetup says so with --verbose alone; on stderr it disturbs no script. */
function done(invocation: Invocation, text: string): number {
  if (!flag(invocation, 'quiet')) process.stderr.write(`${text}\n`);
  return Exit.done;
}
