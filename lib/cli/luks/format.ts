import { stat } from 'node:fs/promises';
import { type LuksFormat, makeHeader, makeVolumeKey, writeNewVolume } from '../../luks/format.js';
import { headerEnd } from '../../luks/header.js';
import { HeaderFile } from '../../luks/header-file.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, oneOf, stringOption } from '../option-values.js';
import { completeFile } from '../output.js';
import { readPassphrase } from '../passphrase.js';
import { imageOf, volumeKeyFile } from './open.js';
import { flag, pbkdfOption, sizeOption, slotOption } from './options.js';

/** `dmalg luks format IMAGE`: a new volume, in a new file with --size, otherwise in what is there. */
export async function format(invocation: Invocation): Promise<number> {
  const image = imageOf(invocation);
  const headerPath = stringOption(invocation, 'header');
  const size = sizeOption(invocation, 'size');
  const there = await stat(image).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && size !== undefined) return undefined;
    throw error;
  });
  if (there && size !== undefined)
    throw new CliError(`--size: '${image}' exists already; without --size it is formatted as it is`, Exit.busy);
  const options = formatOptions(invocation, there ? await sizeOf(image) : size!);
  if (invocation.values['integrity'] !== undefined)
    throw new CliError('--integrity: there are no integrity tags yet; use cryptsetup', Exit.unsupported);
  const given = volumeKeyFile(invocation);
  const key = makeVolumeKey(options, given);
  given?.fill(0);
  try {
    const header = await makeHeader(options, key);
    const hash = options.hash ?? 'sha256';
    if (headerPath === undefined && there) await checkEmpty(invocation, image, headerEnd(header));
    const pbkdf = await pbkdfOption(invocation, header.version, hash, key.length);
    const passphrase = readPassphrase(invocation, `passphrase for ${image}`, { isNew: true });
    try {
      const first = { key, passphrase, pbkdf, slot: slotOption(invocation) ?? 0, hash };
      const write = async (path: string) => {
        await using storage = await HeaderFile.open(path, { readOnly: false });
        await writeNewVolume(storage, header, first);
      };
      const create = (path: string, bytes: number) =>
        completeFile(path, async (file) => {
          await file.truncate(bytes);
          if (path === (headerPath ?? image)) await writeNewVolume(HeaderFile.of(file, path, bytes), header, first);
        });
      if (headerPath !== undefined) {
        const existing = await stat(headerPath).catch(() => undefined);
        if (existing) await checkEmpty(invocation, headerPath, headerEnd(header));
        if (existing && existing.size >= headerEnd(header)) await write(headerPath);
        else await create(headerPath, headerEnd(header));
        if (!there) await create(image, size!);
      } else if (there) await write(image);
      else await create(image, size!);
    } finally {
      passphrase.fill(0);
    }
  } finally {
    key.fill(0);
  }
  return Exit.done;
}

function formatOptions(invocation: Invocation, dataSize: number): LuksFormat {
  const bits = integerOption(invocation, 'key-size', 0, 8, 4096);
  if (bits % 8) throw new CliError(`--key-size: ${bits} bits are no whole bytes`);
  const sectors = stringOption(invocation, 'offset');
  return {
    type: oneOf(invocation, 'type', ['luks2', 'luks1'] as const),
    cipher: stringOption(invocation, 'cipher'),
    keySize: bits ? bits / 8 : undefined,
    hash: stringOption(invocation, 'hash'),
    sectorSize: integerOption(invocation, 'sector-size', 0, 512, 4096) || undefined,
    uuid: stringOption(invocation, 'uuid'),
    label: stringOption(invocation, 'label'),
    subsystem: stringOption(invocation, 'subsystem'),
    metadataSize: sizeOption(invocation, 'luks2-metadata-size'),
    keyslotsSize: sizeOption(invocation, 'luks2-keyslots-size'),
    offset: sectors === undefined ? undefined : integerOption(invocation, 'offset', 0, 0, 2 ** 43) * 512,
    detached: invocation.values['header'] !== undefined,
    dataSize,
  };
}

/** What is there is overwritten with --batch-mode alone. */
async function checkEmpty(invocation: Invocation, path: string, end: number): Promise<void> {
  if (flag(invocation, 'batch-mode')) return;
  await using storage = await HeaderFile.open(path);
  const piece = Buffer.alloc(1 << 20);
  const zeroes = Buffer.alloc(piece.length);
  const size = Math.min(end, storage.size);
  for (let at = 0; at < size; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, size - at));
    await storage.read(part, at);
    if (part.compare(zeroes, 0, part.length) !== 0)
      throw new CliError(`'${path}' holds data, which would be lost; --batch-mode overwrites it`, Exit.busy);
  }
}

async function sizeOf(path: string): Promise<number> {
  await using storage = await HeaderFile.open(path);
  return storage.size;
}
