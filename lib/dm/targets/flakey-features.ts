import { Arguments } from '../arguments.js';

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
  const group = args.left ? args.group('Invalid number of feature args', 11) : new Arguments([]);
  if (group.left === 0) return { ...features, errorReads: true, errorWrites: true };
  while (group.left) takeFeature(group, features);
  const corruptsWrites = features.corruptByte?.op === 'write';
  for (const [name, on] of [
    ['drop_writes', features.dropWrites],
    ['error_writes', features.errorWrites],
  ] as const) {
    if (on && corruptsWrites)
      throw group.error(`${name} is incompatible with corrupt_bio_byte with the WRITE flag set`);
  }
  return features;
}

function takeFeature(group: Arguments, features: FlakeyFeatures): void {
  const name = group.take('Invalid number of feature args').toLowerCase();
  if (name === 'error_reads') {
    if (features.errorReads) throw group.error('Feature error_reads duplicated');
    features.errorReads = true;
  } else if (name === 'drop_writes') {
    if (features.dropWrites) throw group.error('Feature drop_writes duplicated');
    if (features.errorWrites) throw group.error('Feature drop_writes conflicts with feature error_writes');
    features.dropWrites = true;
  } else if (name === 'error_writes') {
    if (features.errorWrites) throw group.error('Feature error_writes duplicated');
    if (features.dropWrites) throw group.error('Feature error_writes conflicts with feature drop_writes');
    features.errorWrites = true;
  } else if (name === 'corrupt_bio_byte') {
    features.corruptByte = takeCorruptByte(group);
  } else if (name === 'random_read_corrupt') {
    features.randomReadCorrupt = takeProbability(group, name);
  } else if (name === 'random_write_corrupt') {
    features.randomWriteCorrupt = takeProbability(group, name);
  } else throw group.error('Unrecognised flakey feature requested', 'see `dmalg dm --help` for those there are');
}

function takeCorruptByte(group: Arguments): CorruptByte {
  if (group.left === 0) throw group.error('Feature corrupt_bio_byte requires parameters');
  const nth = group.number('Invalid corrupt bio byte', 1, maxUnsigned);
  const direction = group.take('Invalid corrupt bio direction (r or w)').toLowerCase();
  if (direction !== 'r' && direction !== 'w') throw group.error('Invalid corrupt bio direction (r or w)');
  const value = group.number('Invalid corrupt value to write into bio byte (0-255)', 0, 255);
  const flags = group.number('Invalid corrupt bio flags mask', 0, maxUnsigned);
  return { nth, op: direction === 'r' ? 'read' : 'write', value, flags };
}

function takeProbability(group: Arguments, name: string): number {
  if (group.left === 0) throw group.error(`Feature ${name} requires a parameter`);
  return group.number('Invalid random corrupt argument', 0, probabilityBase);
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
