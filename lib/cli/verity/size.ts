import type { FormatOptions } from '../../verity/format.js';
import { planVerity, type VeritySize, veritySize } from '../../verity/size.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { fecArea, imageOptions } from './options.js';

/** `dmalg verity size DATA | --data-blocks N` */
export async function printSize(invocation: Invocation): Promise<number> {
  const [, data, more] = invocation.positionals;
  if (more !== undefined) throw new CliError(`size: expected DATA alone, got '${more}', too`);
  const { dataBlocks, ...options } = imageOptions(invocation);
  const fec = fecArea(invocation);
  if (data === undefined && !dataBlocks) throw new CliError('size: expected DATA, or --data-blocks N');
  const size = dataBlocks
    ? veritySize({ ...options, dataBlocks, ...(fec && { fec }) })
    : await planVerity(data!, undefined, { ...options, ...(fec && { fec: { ...fec, path: '' } }) });
  return print(invocation, size);
}

/** `dmalg verity format DATA HASH --dry-run` */
export async function printPlan(
  invocation: Invocation,
  data: string,
  hash: string,
  options: FormatOptions,
): Promise<number> {
  return print(invocation, await planVerity(data, hash, options));
}

function print({ values }: Invocation, size: VeritySize): number {
  process.stdout.write(values.json ? `${JSON.stringify(size, null, 2)}\n` : sizeText(size));
  return Exit.done;
}

/** In the layout of what format prints. */
function sizeText({
  dataBlocks,
  dataBlockSize,
  hashBlocks,
  hashBlockSize,
  hashBytes,
  hashEnd,
  fec,
}: VeritySize): string {
  const rows: [string, string | number][] = [
    ['Data blocks:     ', dataBlocks],
    ['Data block size: ', dataBlockSize],
    ['Data size:       ', `${dataBlocks * dataBlockSize} [bytes]`],
    ['Hash blocks:     ', hashBlocks],
    ['Hash block size: ', hashBlockSize],
    ['Hash tree size:  ', `${hashBytes} [bytes]`],
    ['Hash area ends at:', `${hashEnd} [bytes]`],
  ];
  if (fec)
    rows.push(
      ['FEC RS roots:   ', fec.roots],
      ['FEC blocks:     ', fec.blocks],
      ['FEC size:       ', `${fec.bytes} [bytes]`],
      ['FEC area ends at:', `${fec.end} [bytes]`],
    );
  return rows.map(([name, value]) => `${name}\t${value}\n`).join('');
}
