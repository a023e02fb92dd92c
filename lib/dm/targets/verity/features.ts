import { maxRoots, minRoots } from '../../../verity/fec/reed-solomon.js';
import type { Arguments } from '../../arguments.js';
import { joinArgs } from '../../split-args.js';
import { parseNumber } from '../../table.js';

/** What a bad block is answered with, besides an error. */
export type CorruptionMode = 'ignore_corruption' | 'restart_on_corruption' | 'panic_on_corruption';
/** What a block that cannot be read is answered with, besides an error. */
export type ErrorMode = 'restart_on_error' | 'panic_on_error';

/** FEC as a table line has it. */
export interface FecFeature {
  /** The device, and its place among the arguments. */
  spec: string;
  argument: number;
  /** Blocks that FEC covers: data, hash blocks, and what is behind them. 0: not given. */
  blocks: number;
  /** The first block of parity on the device. */
  start: number;
  /** 0: not given. */
  roots: number;
}

/** The optional arguments of a verity line. */
export interface VerityFeatures {
  mode?: CorruptionMode;
  errorMode?: ErrorMode;
  ignoreZeroBlocks: boolean;
  checkAtMostOnce: boolean;
  tryVerifyInTasklet: boolean;
  fec?: FecFeature;
}

const modes: readonly string[] = ['ignore_corruption', 'restart_on_corruption', 'panic_on_corruption'];
const errorModes: readonly string[] = ['restart_on_error', 'panic_on_error'];
export const mostFeatures = 15;
/** check_at_most_once has a bit for each. */
const mostBits = 2 ** 31 - 1;

/** Takes all that are left. Source: drivers/md/dm-verity-target.c:verity_parse_opt_args, dm-verity-fec.c:verity_fec_parse_opt_args. @throws TableError */
export function parseFeatures(group: Arguments, dataBlocks: number): VerityFeatures {
  const features: VerityFeatures = { ignoreZeroBlocks: false, checkAtMostOnce: false, tryVerifyInTasklet: false };
  const fec: Partial<FecFeature> = {};
  while (group.left > 0) {
    const name = group.take('').toLowerCase();
    if (modes.includes(name)) {
      if (features.mode) throw group.error('Conflicting error handling parameters');
      features.mode = name as CorruptionMode;
    } else if (errorModes.includes(name)) {
      if (features.errorMode) throw group.error('Conflicting error handling parameters');
      features.errorMode = name as ErrorMode;
    } else if (name === 'ignore_zero_blocks') features.ignoreZeroBlocks = true;
    else if (name === 'check_at_most_once') {
      if (dataBlocks > mostBits) throw group.error('device too large to use check_at_most_once');
      features.checkAtMostOnce = true;
    } else if (name === 'try_verify_in_tasklet') features.tryVerifyInTasklet = true;
    else if (Object.hasOwn(fecParts, name)) parseFecPart(group, name as keyof typeof fecParts, fec);
    else if (name === 'root_hash_sig_key_desc')
      throw group.error(
        'Unrecognized verity feature request',
        'signatures of root hashes are not verified here: check it, then leave the option away',
      );
    else throw group.error('Unrecognized verity feature request');
  }
  // Without a device the other parts mean nothing, and the kernel does not look at them.
  const { spec, argument = 0, blocks = 0, start = 0, roots = 0 } = fec;
  return spec === undefined ? features : { ...features, fec: { spec, argument, blocks, start, roots } };
}

const fecParts = { use_fec_from_device: 0, fec_blocks: 0, fec_start: 0, fec_roots: 0 } as const;

function parseFecPart(group: Arguments, name: keyof typeof fecParts, fec: Partial<FecFeature>): void {
  if (group.left === 0) throw group.error('FEC feature arguments require a value');
  const argument = group.index;
  const value = group.take('');
  if (name === 'use_fec_from_device') {
    fec.spec = value;
    fec.argument = argument;
    return;
  }
  const number = parseNumber(value);
  const part = name.slice('fec_'.length) as 'blocks' | 'start' | 'roots';
  const good = part !== 'roots' || (number !== undefined && number >= minRoots && number <= maxRoots);
  if (number === undefined || !good) throw group.error(`Invalid ${name}`);
  fec[part] = number;
}

/** In the kernel's order, with their number, or nothing. `fecDevice`: how the table prints it. Source: drivers/md/dm-verity-target.c:verity_status */
export function formatFeatures(features: VerityFeatures, fecDevice: string | undefined): string[] {
  const { mode, errorMode, ignoreZeroBlocks, checkAtMostOnce, tryVerifyInTasklet, fec } = features;
  const words = [
    ...(mode ? [mode] : []),
    ...(errorMode ? [errorMode] : []),
    ...(ignoreZeroBlocks ? ['ignore_zero_blocks'] : []),
    ...(checkAtMostOnce ? ['check_at_most_once'] : []),
    ...(tryVerifyInTasklet ? ['try_verify_in_tasklet'] : []),
  ];
  if (fec && fecDevice !== undefined)
    words.push(
      ...['use_fec_from_device', joinArgs([fecDevice]), 'fec_blocks', String(fec.blocks)],
      ...['fec_start', String(fec.start), 'fec_roots', String(fec.roots)],
    );
  return words.length ? [String(words.length), ...words] : [];
}
