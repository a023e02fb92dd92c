import { type FormatOptions, formatVerity } from '../../verity/format.js';
import type { Invocation } from '../command.js';
import { stringOption } from '../option-values.js';
import { headerJson, headerText } from './header.js';
import { fecOption, imageArguments, imageOptions } from './options.js';
import { withProgress } from './progress.js';
import { checkRootHashFile, writeRootHash } from './root-hash.js';
import { tailWarning } from './words.js';

/** Of the machines that Debian's kernels run on; a larger block is for another one's. */
const pageSize = 4096;

/** `dmalg verity format DATA HASH` */
export async function formatImage(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash } = imageArguments(invocation);
  const uuid = stringOption(invocation, 'uuid');
  const fec = fecOption(invocation);
  const options = {
    ...(await likeOptions(invocation)),
    ...imageOptions(invocation),
    ...(uuid !== undefined && { uuid }),
    ...(fec && { fec }),
  };
  if (values['dry-run']) return (await import('./size.js')).printPlan(invocation, data, hash, options);
  const rootHashFile = stringOption(invocation, 'root-hash-file');
  await checkRootHashFile(rootHashFile, [data, hash, fec?.path]);
  const image = await withProgress(invocation, (run) => formatVerity(data, hash, { ...options, ...run }));
  process.stderr.write(tailWarning(data, image.tail));
  if (image.dataBlockSize > pageSize)
    process.stderr.write(
      `WARNING: Kernel cannot activate device if data block size exceeds page size (${pageSize}).\n`,
    );
  const status = await writeRootHash(rootHashFile, image.rootHash);
  process.stdout.write(values.json ? headerJson(image) : headerText(hash, image, options.hashOffset, fec?.offset));
  return status;
}

/** What an image that exists was made with, but for how much data it has. @throws VerityError */
async function likeOptions(invocation: Invocation): Promise<FormatOptions> {
  const like = stringOption(invocation, 'like');
  if (like === undefined) return {};
  const { provider, hashOffset } = imageOptions(invocation);
  const { dumpVerity } = await import('../../verity/dump.js');
  const { salt, uuid, hash, hashType, dataBlockSize, hashBlockSize } = await dumpVerity(like, { hashOffset, provider });
  return { salt, uuid, hash, hashType, dataBlockSize, hashBlockSize };
}
