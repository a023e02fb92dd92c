import { type Engine, openLanes } from '../../crypto/engine/engine.js';
import type { ProviderName } from '../../crypto/provider/provider.js';
import { VerityError } from '../../verity/error.js';
import type { FecArea } from '../../verity/fec/fec-image.js';
import type { FecInput } from '../../verity/fec/open-fec-image.js';
import { defaultRoots, type VerityParameters } from '../../verity/parameters.js';
import { maxSaltSize } from '../../verity/superblock.js';
import { algOptions, runOptions } from '../alg-options.js';
import { CliError, type Invocation, type OptionHelp } from '../command.js';
import { integerOption, stringOption } from '../option-values.js';

const offsetOption: Record<string, OptionHelp> = {
  'hash-offset': { type: 'string', value: 'BYTES', help: 'where the hash area begins in HASH (default: 0)' },
};

/** What a tree is made with, as veritysetup spells it. */
export const treeOptions: Record<string, OptionHelp> = {
  hash: { type: 'string', short: 'h', value: 'ALG', help: 'hash by its kernel name (default: sha256)' },
  format: { type: 'string', value: 'N', help: "1 (default), or 0: Chrome OS's original one" },
  'data-block-size': { type: 'string', value: 'BYTES', help: 'a power of two from 512 to 524288 (default: 4096)' },
  'hash-block-size': { type: 'string', value: 'BYTES', help: 'the same, of the tree (default: 4096)' },
  'data-blocks': { type: 'string', value: 'N', help: 'blocks of data (default: as many as DATA has)' },
  ...offsetOption,
  salt: { type: 'string', short: 's', value: 'HEX', help: '- is none (default: 32 random bytes)' },
  'no-superblock': { type: 'boolean', help: 'the hash area has no superblock: all of these are given each time' },
};

export const dumpOptions = offsetOption;

export const runHelp: Record<string, OptionHelp> = {
  jobs: { type: 'string', value: 'N', help: 'worker threads (default: one for each CPU)' },
  provider: algOptions['provider']!,
};

export const rootOptions: Record<string, OptionHelp> = {
  'root-hash-file': {
    type: 'string',
    value: 'FILE',
    help: 'format writes the root hash there; the others read it: the first word, - is stdin',
  },
};

export const formatOptions: Record<string, OptionHelp> = {
  uuid: { type: 'string', value: 'UUID', help: 'of the superblock (default: a random one)' },
  like: {
    type: 'string',
    value: 'HASH',
    help: 'format: salt, UUID, hash, format and block sizes of this image, as far as they are not given',
  },
};

export const dryRunOption: Record<string, OptionHelp> = {
  'dry-run': {
    type: 'boolean',
    help: 'repair: say what would be mended; format: say how long it would be. Nothing is written',
  },
};

export const fecOptions: Record<string, OptionHelp> = {
  'fec-device': { type: 'string', value: 'FILE', help: 'where the FEC data is; it may be DATA or HASH' },
  'fec-offset': { type: 'string', value: 'BYTES', help: 'where it begins (default: 0)' },
  'fec-roots': { type: 'string', value: 'N', help: 'bytes of parity for each word of 255, from 2 to 24 (default: 2)' },
};

export const fecBlocksOption: Record<string, OptionHelp> = {
  'fec-blocks': {
    type: 'string',
    value: 'N',
    help: 'blocks that it covers, data and tree included (default: all of HASH)',
  },
};

export const repairOptions: Record<string, OptionHelp> = {
  'in-place': { type: 'boolean', help: 'repair: write the files themselves' },
  output: {
    type: 'string',
    value: 'FILE',
    help: 'repair: write the mended DATA there; it appears when all of it is right',
  },
  'output-hash': { type: 'string', value: 'FILE', help: 'the same for HASH, where that is another file' },
  'output-fec': { type: 'string', value: 'FILE', help: 'the same for the FEC file' },
};

/** The optional arguments of a verity line, as veritysetup spells them. */
export const tableOptions: Record<string, OptionHelp> = {
  'ignore-corruption': { type: 'boolean', help: 'bad blocks are used, and logged' },
  'restart-on-corruption': { type: 'boolean', help: 'a bad block restarts the machine' },
  'panic-on-corruption': { type: 'boolean', help: 'a bad block is a panic' },
  'error-as-corruption': {
    type: 'boolean',
    help: 'a block that cannot be read restarts or panics as a bad one does',
  },
  'ignore-zero-blocks': { type: 'boolean', help: 'blocks of zeroes are not read' },
  'check-at-most-once': { type: 'boolean', help: 'a block is verified the first time that it is read' },
  'use-tasklets': { type: 'boolean', help: 'short reads are verified without a work queue' },
  'dm-mod-create': {
    type: 'string',
    value: 'NAME',
    help: "print it as the kernel's boot parameter dm-mod.create, for a device of this name",
  },
};

export const maxErrorsOption: Record<string, OptionHelp> = {
  'max-errors': { type: 'string', value: 'N', help: 'bad blocks that are listed; all are counted (default: 1000)' },
};

/** Where the FEC data is, if there is any. @throws CliError */
export function fecOption(invocation: Invocation): (Required<FecArea> & { path: string }) | undefined {
  const path = stringOption(invocation, 'fec-device');
  const offset = givenNumber(invocation, 'fec-offset') ?? 0;
  const roots = givenNumber(invocation, 'fec-roots') ?? defaultRoots;
  return path === undefined ? undefined : { path, offset, roots };
}

/** Where there is to be FEC data at all: any of its options says so. @throws CliError */
export function fecArea(invocation: Invocation): Required<FecArea> | undefined {
  const offset = givenNumber(invocation, 'fec-offset');
  const roots = givenNumber(invocation, 'fec-roots');
  const isGiven = offset !== undefined || roots !== undefined || invocation.values['fec-device'] !== undefined;
  return isGiven ? { offset: offset ?? 0, roots: roots ?? defaultRoots } : undefined;
}

/** The same of an image that exists. @throws CliError */
export function fecInput(invocation: Invocation): FecInput | undefined {
  const fec = fecOption(invocation);
  const blocks = givenNumber(invocation, 'fec-blocks');
  return fec && { ...fec, ...(blocks !== undefined && { blocks }) };
}

/** What is given of the parameters of a tree. @throws CliError, VerityError in veritysetup's words */
function treeParameters(invocation: Invocation): Partial<VerityParameters> {
  const salt = saltOption(invocation);
  const hash = stringOption(invocation, 'hash');
  const number = (name: string) => givenNumber(invocation, name);
  const [hashType, dataBlockSize] = [number('format'), number('data-block-size')];
  const [hashBlockSize, dataBlocks] = [number('hash-block-size'), number('data-blocks')];
  return {
    ...(salt && { salt }),
    ...(hash !== undefined && { hash }),
    ...(hashType !== undefined && { hashType: hashType as 0 | 1 }),
    ...(dataBlockSize !== undefined && { dataBlockSize }),
    ...(hashBlockSize !== undefined && { hashBlockSize }),
    ...(dataBlocks !== undefined && { dataBlocks }),
  };
}

/** DATA, HASH and, where it is given, ROOT, which follow the action. @throws CliError */
export function imageArguments({ positionals }: Invocation): { data: string; hash: string; root: string | undefined } {
  const [action, data, hash, root] = positionals;
  if (data === undefined || hash === undefined)
    throw new CliError(`${action}: requires <data_device> <hash_device> as arguments; see 'dmalg verity --help'`);
  return { data, hash, root };
}

/** All that says what an image is like and who hashes it. @throws CliError, VerityError in veritysetup's words */
export function imageOptions(invocation: Invocation) {
  return {
    ...treeParameters(invocation),
    ...verityRunOptions(invocation),
    hashOffset: hashOffsetOption(invocation),
    superblock: invocation.values['no-superblock'] !== true,
  };
}

export function hashOffsetOption(invocation: Invocation): number {
  return givenNumber(invocation, 'hash-offset') ?? 0;
}

/** The provider, and an engine where a number of threads is given. @throws CliError */
export function verityRunOptions(invocation: Invocation): { provider: ProviderName | 'auto'; engine?: Engine } {
  const { provider } = runOptions(invocation);
  const jobs = givenNumber(invocation, 'jobs');
  return { provider, ...(jobs !== undefined && { engine: openLanes(jobs) }) };
}

function givenNumber(invocation: Invocation, name: string): number | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  if (name === 'data-blocks' && /^\d+$/.test(text) && Number(text) > Number.MAX_SAFE_INTEGER)
    throw new VerityError('Device offset overflow.', 'EINVAL', `--data-blocks: ${text} are too many`);
  return integerOption(invocation, name, 0, name === 'jobs' ? 1 : 0, name === 'jobs' ? 256 : Number.MAX_SAFE_INTEGER);
}

function saltOption(invocation: Invocation): Buffer | undefined {
  const text = stringOption(invocation, 'salt');
  if (text === undefined) return undefined;
  if (text === '-') return Buffer.alloc(0);
  if (!/^([0-9a-f]{2})*$/i.test(text) || text.length > 2 * maxSaltSize)
    throw new VerityError(
      'Invalid salt string specified.',
      'EINVAL',
      `--salt: expected hex digits of at most ${maxSaltSize} bytes, or - for none`,
    );
  return Buffer.from(text, 'hex');
}
