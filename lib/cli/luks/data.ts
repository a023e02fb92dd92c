import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Device } from '../../dm/device.js';
import { keyDescription, luksLine, openLuks } from '../../dm/luks.js';
import { formatTable } from '../../dm/table.js';
import { HeaderFile } from '../../luks/header-file.js';
import { runOptions } from '../alg-options.js';
import { CliError, type Invocation } from '../command.js';
import { readDevice, writeDevice } from '../dm-stream.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';
import { writeOutput } from '../output.js';
import { readPassphrase } from '../passphrase.js';
import { Progress } from '../progress.js';
import { untilStopped } from '../stop-signals.js';
import { imageOf, openHeader, volumeKeyFile, withVolumeKey } from './open.js';
import { flag, slotOption } from './options.js';

/** `dmalg luks read IMAGE`: the plaintext, to --output or stdout. */
export async function read(invocation: Invocation): Promise<number> {
  await using device = await open(invocation, true);
  const offset = integerOption(invocation, 'offset', 0, 0, device.size);
  const length = integerOption(invocation, 'length', device.size - offset, 0, device.size - offset);
  const progress = new Progress(length, flag(invocation, 'quiet'));
  try {
    const chunks = progress.count(readDevice(device, { offset, length, depth: depth(invocation) }));
    await writeOutput(stringOption(invocation, 'output') ?? '-', chunks);
  } finally {
    progress.end();
  }
  return Exit.done;
}

/** `dmalg luks write IMAGE`: encrypts --input or stdin into the volume. */
export async function write(invocation: Invocation): Promise<number> {
  const input = stringOption(invocation, 'input') ?? '-';
  const key = stringOption(invocation, 'volume-key-file') ?? stringOption(invocation, 'key-file') ?? '-';
  if (input === '-' && key === '-')
    throw new CliError('luks write: the data is on stdin, so the passphrase needs --key-file FILE');
  await using device = await open(invocation, false);
  const offset = integerOption(invocation, 'offset', 0, 0, device.size);
  const info = input === '-' ? undefined : await stat(input);
  if (info?.isFile() && info.size > device.size - offset)
    throw new CliError(
      `--input: '${input}' has ${info.size} bytes, the volume ${device.size - offset} from there on`,
      Exit.device,
    );
  const progress = new Progress(info?.isFile() ? info.size : undefined, flag(invocation, 'quiet'));
  const source = input === '-' ? process.stdin : createReadStream(input, { highWaterMark: 1 << 20 });
  try {
    await writeDevice(device, { offset, depth: depth(invocation) }, progress.count(source));
  } finally {
    progress.end();
  }
  return Exit.done;
}

/** `dmalg luks table IMAGE`: the line that the kernel would get. */
export async function table(invocation: Invocation): Promise<number> {
  const image = imageOf(invocation);
  const { storage, header } = await openHeader(invocation);
  try {
    const size = await sizeOf(image);
    const print = (key: string) => {
      process.stdout.write(`${formatTable([luksLine(header, image, size, key)])}\n`);
      return Exit.done;
    };
    if (!flag(invocation, 'showkeys')) {
      const [slot] = Object.values(header.metadata.keyslots);
      return print(`:${slot?.key_size ?? 0}:logon:${keyDescription(header)}`);
    }
    return await withVolumeKey(invocation, storage, header, async ({ key }) => print(key.toString('hex')));
  } finally {
    await storage.close();
  }
}

async function open(invocation: Invocation, readOnly: boolean): Promise<Device> {
  const image = imageOf(invocation);
  const { provider, engine } = runOptions(invocation);
  const header = stringOption(invocation, 'header');
  const volumeKey = volumeKeyFile(invocation);
  const passphrase = volumeKey ?? readPassphrase(invocation, `passphrase for ${image}`);
  try {
    return await untilStopped((signal) =>
      openLuks(image, {
        ...(volumeKey ? { volumeKey } : { passphrase }),
        ...(header !== undefined && { header }),
        slot: slotOption(invocation),
        readOnly,
        provider,
        engine,
        signal,
      }),
    );
  } finally {
    passphrase.fill(0);
  }
}

function depth(invocation: Invocation): number {
  return integerOption(invocation, 'depth', 4, 1, 1024);
}

async function sizeOf(path: string): Promise<number> {
  await using storage = await HeaderFile.open(path);
  return storage.size;
}
