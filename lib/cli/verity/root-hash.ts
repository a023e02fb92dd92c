import { createReadStream } from 'node:fs';
import { isFull, VerityError } from '../../verity/error.js';
import { parseRootHash } from '../../verity/parameters.js';
import { CliError } from '../command.js';
import { errorWords } from '../error-words.js';
import { Exit } from '../exit.js';
import { completeFile } from '../output.js';

/** Longer than any hash, and what a file in sha256sum's format has behind it. */
const maxBytes = 4096;

/**
 * The root hash given, or the first word of a file, which may go on with a file's name and further lines; '-' is stdin.
 * @throws VerityError in veritysetup's words. Unlike it, this fails where the file cannot be read.
 */
export async function readRootHash(text: string | undefined, path: string | undefined): Promise<Buffer> {
  if (text === undefined && path === undefined)
    throw new VerityError(
      'Command requires <root_hash> or --root-hash-file option as argument.',
      'EINVAL',
      "format printed it as 'Root hash:'",
    );
  if (path === undefined) return parseRootHash(text!.trim());
  const bytes = await readStart(path).catch((cause: Error) => {
    throw new VerityError(`Cannot read root hash file ${path}.`, 'EINVAL', cause.message, { cause });
  });
  return parseRootHash(bytes.toString('latin1').trim().split(/\s/, 1)[0]!);
}

async function readStart(path: string): Promise<Buffer> {
  const source = path === '-' ? process.stdin : createReadStream(path, { end: maxBytes - 1 });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= maxBytes) break;
  }
  return Buffer.concat(chunks);
}

/** Before anything is written: a root hash must not take the place of what it is of. @throws CliError */
export async function checkRootHashFile(path: string | undefined, others: (string | undefined)[]): Promise<void> {
  if (path === undefined) return;
  if (path === '-')
    throw new CliError('format: --root-hash-file: expected a file; the root hash is printed on stdout anyway');
  const { isSamePath } = await import('../../base/file-identity.js');
  for (const other of others)
    if (other !== undefined && (await isSamePath(path, other)))
      throw new CliError(`format: --root-hash-file ${path}: it is ${other}, too; name another file`);
}

/** As veritysetup writes it: hex without the end of a line. Without it the image is good: its root hash is printed. */
export async function writeRootHash(path: string | undefined, rootHash: Buffer): Promise<number> {
  if (path === undefined) return Exit.done;
  try {
    await completeFile(path, (file) => file.writeFile(rootHash.toString('hex')), 0o600);
    return Exit.done;
  } catch (error) {
    process.stderr.write(`Cannot create root hash file ${path} for writing.\ndmalg: ${errorWords(error)}\n`);
    return isFull(error) ? Exit.device : Exit.usage;
  }
}
