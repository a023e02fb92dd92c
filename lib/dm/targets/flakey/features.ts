import type { Arguments } from '../../arguments.js';

/** `corrupt_bio_byte <Nth byte> <r|w> <value> <flags>`: which byte of a bio becomes what, in bios that have these flags. */
export interface CorruptByte {
  /** From 1. */
  nth: number;
  op: 'read' | 'write';
  value: number;
  flags: number;
}

/** What a flakey device does while it is down. */
export interface FlakeyFeatures {
  errorReads: boolean;
  errorWrites: boolean;
  dropWrites: boolean;
  corruptByte: CorruptByte | undefined;
  /** Of 1,000,000,000 bios, how many get a random byte. */
  randomReadCorrupt: number;
  randomWriteCorrupt: number;
}

export const probabilityBase = 1_000_000_000;
const maxUnsigned = 0xffff_ffff;
const wrongCount = 'Invalid number of feature args';

/**
 * `[<#feature args> [<feature args>]]` (drivers/md/dm-flakey.c:parse_features). Without features everything fails.
 * @throws TableError
 */
export function parseFeatures(args: Arguments): FlakeyFeatures {
  const features: FlakeyFeatures = {
    errorReads: false,
    errorWrites: false,
    dropWrites: false,
    corruptByte: undefined,
    randomReadCorrupt: 0,
    randomWriteCorrupt: 0,
  };
  let left = args.left ? args.number(wrongCount, 0, 11) : 0;
  if (left > args.left) throw args.error(wrongCount, `${args.left} follow`);
  if (left === 0) return { ...features, errorReads: true, errorWrites: true };
  // As in the kernel a feature's parameters may go past the end of the group, and then the features do, to the end of the line.
  while (left !== 0) left -= takeFeature(args, left - 1, features);
  const corruptsWrites = features.corruptByte?.op === 'write';
  for (const [name, on] of [
    ['drop_writes', features.dropWrites],
    ['error_writes', features.errorWrites],
  ] as const) {
    if (on && corruptsWrites) throw args.error(`${name} is incompatible with corrupt_bio_byte with the WRITE flag set`);
  }
  return features;
}

/** Takes a feature with its parameters, of which the group has room for `room`, and answers how many arguments that were. */
function takeFeature(args: Arguments, room: number, features: FlakeyFeatures): number {
  const name = args.take('Insufficient feature arguments').toLowerCase();
  if (name === 'error_reads') {
    if (features.errorReads) throw args.error('Feature error_reads duplicated');
    features.errorReads = true;
    return 1;
  }
  if (name === 'drop_writes') {
    if (features.dropWrites) throw args.error('Feature drop_writes duplicated');
    if (features.errorWrites) throw args.error('Feature drop_writes conflicts with feature error_writes');
    features.dropWrites = true;
    return 1;
  }
  if (name === 'error_writes') {
    if (features.errorWrites) throw args.error('Feature error_writes duplicated');
    if (features.dropWrites) throw args.error('Feature error_writes conflicts with feature drop_writes');
    features.errorWrites = true;
    return 1;
  }
  if (name === 'corrupt_bio_byte') {
    if (room === 0) throw args.error('Feature corrupt_bio_byte requires parameters');
    features.corruptByte = takeCorruptByte(args);
    return 5;
  }
  if (name === 'random_read_corrupt' || name === 'random_write_corrupt') {
    if (room === 0) throw args.error(`Feature ${name} requires a parameter`);
    const probability = args.number('Invalid random corrupt argument', 0, probabilityBase);
    features[name === 'random_read_corrupt' ? 'randomReadCorrupt' : 'randomWriteCorrupt'] = probability;
    return 2;
  }
  throw args.error('Unrecognised flakey feature requested', 'see `dmalg dm --help` for those there are');
}

function takeCorruptByte(args: Arguments): CorruptByte {
  const nth = args.number('Invalid corrupt bio byte', 1, maxUnsigned);
  const direction = args.take('Invalid corrupt bio direction (r or w)').toLowerCase();
  if (direction !== 'r' && direction !== 'w') throw args.error('Invalid corrupt bio direction (r or w)');
  const value = args.number('Invalid corrupt value to write into bio byte (0-255)', 0, 255);
  const flags = args.number('Invalid corrupt bio flags mask', 0, maxUnsigned);
  return { nth, op: direction === 'r' ? 'read' : 'write', value, flags };
}

/** The group as `dmsetup table` shows it (flakey_status). */
export function formatFeatures(features: FlakeyFeatures): string {
  const words: (string | number)[] = [];
  if (features.errorReads) words.push('error_reads');
  if (features.dropWrites) words.push('drop_writes');
  if (features.errorWrites) words.push('error_writes');
  if (features.corruptByte) {
    const { nth, op, value, flags } = features.corruptByte;
    words.push('corrupt_bio_byte', nth, op === 'write' ? 'w' : 'r', value, flags);
  }
  if (features.randomReadCorrupt) words.push('random_read_corrupt', features.randomReadCorrupt);
  if (features.randomWriteCorrupt) words.push('random_write_corrupt', features.randomWriteCorrupt);
  return [words.length, ...words].join(' ');
}
