import { writeFile } from 'node:fs/promises';
import { formatVerity } from '../dm/verity/format.js';
import { stringOption } from './alg-options.js';
import { CliError, Exit, type Invocation } from './command.js';
import { errorWords } from './error-words.js';
import { completeFile } from './output.js';
import { headerJson, headerText } from './verity-header.js';
import { fecOption, givenParameters, hashOffsetOption, verityRunOptions } from './verity-options.js';
import { withProgress } from './verity-progress.js';

/** Of the machines that Debian's kernels run on; a larger block is for another one's. */
const pageSize = 4096;

/** `dmalg verity format DATA HASH` */
export async function formatImage(invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  const [, data, hash] = positionals;
  if (data === undefined || hash === undefined)
    throw new CliError("format: requires <data_device> <hash_device> as arguments; see 'dmalg verity --help'");
  const uuid = stringOption(invocation, 'uuid');
  const hashOffset = hashOffsetOption(invocation);
  const fec = fecOption(invocation);
  const options = {
    ...givenParameters(invocation),
    ...verityRunOptions(invocation),
    ...(uuid !== undefined && { uuid }),
    ...(fec && { fec }),
    hashOffset,
    superblock: values['no-superblock'] !== true,
  };
  const image = await withProgress(invocation, (run) => formatVerity(data, hash, { ...options, ...run }));
  if (image.dataBlockSize > pageSize)
    process.stderr.write(
      `WARNING: Kernel cannot activate device if data block size exceeds page size (${pageSize}).\n`,
    );
  const status = await writeRootHash(stringOption(invocation, 'root-hash-file'), image.rootHash);
  process.stdout.write(values.json ? headerJson(image) : headerText(hash, image, hashOffset, fec?.offset));
  return status;
}

/** As veritysetup writes it: hex without the end of a line. Without it the image is good: its root hash is printed. */
async function writeRootHash(path: string | undefined, rootHash: Buffer): Promise<number> {
  if (path === undefined) return Exit.done;
  try {
    await completeFile(path, (file, flag) => writeFile(file, rootHash.toString('hex'), { mode: 0o600, flag }));
    return Exit.done;
  } catch (error) {
    process.stderr.write(`Cannot create root hash file ${path} for writing.\ndmalg: ${errorWords(error)}\n`);
    return Exit.usage;
  }
}
