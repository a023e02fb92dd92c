import { backUpHeader, backupSize, repairHeader, restoreHeader } from '../../luks/backup.js';
import { convertToLuks1, convertToLuks2 } from '../../luks/convert.js';
import { dumpJson, dumpText } from '../../luks/dump.js';
import { HeaderFile } from '../../luks/header-file.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { stringOption } from '../option-values.js';
import { completeFile } from '../output.js';
import { confirm } from './keys.js';
import { imageOf, openHeader, withHeader } from './open.js';
import { flag } from './options.js';

/** `dmalg luks dump IMAGE` */
export async function dump(invocation: Invocation): Promise<number> {
  return withHeader(invocation, {}, async (storage, header) => {
    const asJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
    if (flag(invocation, 'dump-json-metadata')) {
      if (header.version === 1) throw new CliError('--dump-json-metadata: LUKS1 has no JSON; --json prints it in JSON');
      process.stdout.write(asJson(header.metadata));
    } else
      process.stdout.write(flag(invocation, 'json') ? asJson(dumpJson(header)) : dumpText(header, storage.describe()));
    return Exit.done;
  });
}

/** `dmalg luks uuid IMAGE` */
export async function uuid(invocation: Invocation): Promise<number> {
  return withHeader(invocation, {}, async (_, header) => {
    process.stdout.write(`${header.uuid}\n`);
    return Exit.done;
  });
}

/** `dmalg luks header-backup IMAGE --header-backup-file FILE` */
export async function headerBackup(invocation: Invocation): Promise<number> {
  const path = backupFile(invocation);
  return withHeader(invocation, {}, async (storage, header) => {
    const exists = await HeaderFile.open(path).then(
      (file) => file.close().then(() => true),
      ({ code }) => code !== 'ENOENT',
    );
    if (exists) throw new CliError(`--header-backup-file: '${path}' exists already; name another file`, Exit.busy);
    await completeFile(path, (file) => backUpHeader(storage, header, HeaderFile.of(file, path, 0)), 0o400);
    if (!flag(invocation, 'quiet'))
      process.stderr.write(
        `The header of ${backupSize(header)} bytes is in '${path}': keep it as safe as the passphrases.\n`,
      );
    return Exit.done;
  });
}

/** `dmalg luks header-restore IMAGE --header-backup-file FILE` */
export async function headerRestore(invocation: Invocation): Promise<number> {
  const path = backupFile(invocation);
  await using backup = await HeaderFile.open(path);
  await using storage = await HeaderFile.open(stringOption(invocation, 'header') ?? imageOf(invocation), {
    readOnly: false,
  });
  await restoreHeader(storage, backup, { force: flag(invocation, 'batch-mode') });
  return Exit.done;
}

/** `dmalg luks repair IMAGE` */
export async function repair(invocation: Invocation): Promise<number> {
  return withHeader(invocation, { readOnly: false }, async (storage, header) => {
    const wasDamaged = await repairHeader(storage, header);
    if (!flag(invocation, 'quiet'))
      process.stderr.write(wasDamaged ? 'Both copies of the header are written anew.\n' : 'Nothing to repair.\n');
    return Exit.done;
  });
}

/** `dmalg luks convert IMAGE --type luks1|luks2` */
export async function convert(invocation: Invocation): Promise<number> {
  const type = stringOption(invocation, 'type');
  if (type !== 'luks1' && type !== 'luks2') throw new CliError(`--type: expected luks1 or luks2, got '${type ?? ''}'`);
  const { storage, header } = await openHeader(invocation, { readOnly: false });
  try {
    confirm(invocation, `luks convert: rewrites the header as ${type}; make a header-backup first`);
    await (type === 'luks1' ? convertToLuks1 : convertToLuks2)(storage, header);
    return Exit.done;
  } finally {
    await storage.close();
  }
}

function backupFile(invocation: Invocation): string {
  const path = stringOption(invocation, 'header-backup-file');
  if (path === undefined) throw new CliError('--header-backup-file is missing');
  return path;
}
