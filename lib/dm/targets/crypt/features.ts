import { TableError } from '../../table-error.js';

/** The optional arguments of a crypt line. */
export interface CryptFeatures {
  allowDiscards: boolean;
  sameCpuCrypt: boolean;
  highPriority: boolean;
  submitFromCryptCpus: boolean;
  noReadWorkqueue: boolean;
  noWriteWorkqueue: boolean;
  ivLargeSectors: boolean;
  /** Bytes. */
  sectorSize: number;
  integrity: { bytes: number; profile: string } | undefined;
  /** Bytes. */
  integrityKeySize: number | undefined;
}

type Flag = { [Name in keyof CryptFeatures]: CryptFeatures[Name] extends boolean ? Name : never }[keyof CryptFeatures];

/** In the order in which a status line has them. */
const flags: readonly [string, Flag][] = [
  ['allow_discards', 'allowDiscards'],
  ['same_cpu_crypt', 'sameCpuCrypt'],
  ['high_priority', 'highPriority'],
  ['submit_from_crypt_cpus', 'submitFromCryptCpus'],
  ['no_read_workqueue', 'noReadWorkqueue'],
  ['no_write_workqueue', 'noWriteWorkqueue'],
];

const mostOptions = 9;
const mostTagBytes = 480;

/**
 * Reads `[<#opts> <opt>...]` from `args[first]` on, for a target of so many sectors. What stands behind the counted group is ignored.
 * Source: drivers/md/dm-crypt.c:crypt_ctr_optional. @throws TableError
 */
export function parseFeatures(args: readonly string[], first: number, length: number): CryptFeatures {
  const features: CryptFeatures = {
    allowDiscards: false,
    sameCpuCrypt: false,
    highPriority: false,
    submitFromCryptCpus: false,
    noReadWorkqueue: false,
    noWriteWorkqueue: false,
    ivLargeSectors: false,
    sectorSize: 512,
    integrity: undefined,
    integrityKeySize: undefined,
  };
  const count = args[first];
  if (count === undefined) return features;
  const left = args.length - first - 1;
  if (!/^\d+$/.test(count) || Number(count) > Math.min(mostOptions, left))
    throw new TableError('Invalid number of feature args', {
      argument: first,
      value: count,
      hint: `at most ${mostOptions}, and ${left} follow`,
    });
  for (let at = first + 1; at <= first + Number(count); at++) {
    const reason = takeFeature(features, args[at]!, length);
    if (reason) throw new TableError(reason, { argument: at, value: args[at]! });
  }
  return features;
}

/** Puts one option into `features`; the kernel's words where it cannot be. */
function takeFeature(features: CryptFeatures, option: string, length: number): string | undefined {
  const lower = option.toLowerCase();
  const flag = flags.find(([name]) => name === lower)?.[1];
  if (flag) features[flag] = true;
  else if (lower === 'iv_large_sectors') features.ivLargeSectors = true;
  // sscanf: names with a value are spelled exactly.
  else if (/^integrity:\d+:/.test(option)) {
    const [, digits, profile = ''] = option.split(':');
    const bytes = Number(digits);
    if (bytes === 0 || bytes > mostTagBytes) return 'Invalid integrity arguments';
    if (!['aead', 'none'].includes(profile.toLowerCase())) return 'Unknown integrity profile';
    features.integrity = { bytes, profile };
  } else if (/^integrity_key_size:\d+$/.test(option)) {
    const bytes = Number(option.slice('integrity_key_size:'.length));
    if (bytes === 0) return 'Invalid integrity_key_size argument';
    features.integrityKeySize = bytes;
  } else if (/^sector_size:\d+$/.test(option)) {
    const size = Number(option.slice('sector_size:'.length));
    if (![512, 1024, 2048, 4096].includes(size)) return 'Invalid feature value for sector_size';
    if (length % (size / 512)) return 'Device size is not multiple of sector_size feature';
    features.sectorSize = size;
  } else return 'Invalid feature arguments';
  return undefined;
}

/** `<#opts> <opt>...`, or nothing. Source: drivers/md/dm-crypt.c:crypt_status. */
export function formatFeatures(features: CryptFeatures): string[] {
  const words = flags.filter(([, flag]) => features[flag]).map(([name]) => name);
  const { integrity, integrityKeySize, sectorSize } = features;
  if (integrity) words.push(`integrity:${integrity.bytes}:${integrity.profile}`);
  if (sectorSize !== 512) words.push(`sector_size:${sectorSize}`);
  if (features.ivLargeSectors) words.push('iv_large_sectors');
  if (integrityKeySize) words.push(`integrity_key_size:${integrityKeySize}`);
  return words.length ? [String(words.length), ...words] : [];
}
