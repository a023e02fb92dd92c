import { readFile, writeFile } from 'node:fs/promises';
import { VerityError } from '../../verity/error.js';
import { errorWords } from '../error-words.js';
import { Exit } from '../exit.js';
import { completeFile } from '../output.js';

/** @throws VerityError in veritysetup's words. Unlike it, this fails where the file cannot be read. */
export async function readRootHash(text: string | undefined, path: string | undefined): Promise<Buffer> {
  if (text === undefined && path === undefined)
    throw new VerityError('Command requires <root_hash> or --root-hash-file option as argument.');
  const hex =
    path === undefined
      ? text!
      : await readFile(path, 'latin1').catch((cause: Error) => {
          throw new VerityError(`Cannot read root hash file ${path}.`, 'EINVAL', cause.message, { cause });
        });
  if (!/^([0-9a-f]{2})+$/i.test(hex.trim())) throw new VerityError('Invalid root hash string specified.');
  return Buffer.from(hex.trim(), 'hex');
}

/** As veritysetup writes it: hex without the end of a line. Without it the image is good: its root hash is printed. */
export async function writeRootHash(path: string | undefined, rootHash: Buffer): Promise<number> {
  if (path === undefined) return Exit.done;
  try {
    await completeFile(path, (file, flag) => writeFile(file, rootHash.toString('hex'), { mode: 0o600, flag }));
    return Exit.done;
  } catch (error) {
    process.stderr.write(`Cannot create root hash file ${path} for writing.\ndmalg: ${errorWords(error)}\n`);
    return Exit.usage;
  }
}
