import { verityTable } from '../../dm/targets/verity/image-table.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { stringOption } from '../option-values.js';
import { fecInput, imageArguments, imageOptions } from './options.js';
import { readRootHash } from './root-hash.js';

const corruptionModes = ['ignore-corruption', 'restart-on-corruption', 'panic-on-corruption'] as const;

/** `dmalg verity table DATA HASH ROOT` */
export async function printTable(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash, root } = imageArguments(invocation);
  const name = stringOption(invocation, 'dm-mod-create');
  const rootHash = await readRootHash(root, stringOption(invocation, 'root-hash-file'));
  const fec = fecInput(invocation);
  const line = await verityTable(data, hash, rootHash, {
    ...imageOptions(invocation),
    ...(fec && { fec }),
    features: {
      ...corruptionMode(values),
      ignoreZeroBlocks: values['ignore-zero-blocks'] === true,
      checkAtMostOnce: values['check-at-most-once'] === true,
      tryVerifyInTasklet: values['use-tasklets'] === true,
    },
  });
  process.stdout.write(`${name === undefined ? line : bootParameter(name, line)}\n`);
  return Exit.done;
}

/** @throws CliError where they exclude each other */
function corruptionMode(values: Invocation['values']) {
  const given = corruptionModes.filter((mode) => values[mode] === true);
  if (given.length > 1) throw new CliError(`table: expected one of --${given.join(', --')}`);
  const [mode] = given;
  const withErrors = values['error-as-corruption'] === true;
  if (withErrors && mode !== 'restart-on-corruption' && mode !== 'panic-on-corruption')
    throw new CliError('table: --error-as-corruption: expected --restart-on-corruption or --panic-on-corruption, too');
  const modes = {
    'ignore-corruption': { mode: 'ignore_corruption' },
    'restart-on-corruption': {
      mode: 'restart_on_corruption',
      ...(withErrors && { errorMode: 'restart_on_error' as const }),
    },
    'panic-on-corruption': { mode: 'panic_on_corruption', ...(withErrors && { errorMode: 'panic_on_error' as const }) },
  } as const;
  return mode ? modes[mode] : {};
}

/** Source: Documentation/admin-guide/device-mapper/dm-init.rst. @throws CliError for what it cannot say */
function bootParameter(name: string, line: string): string {
  if (!/^[^\s,;"\\/]{1,127}$/.test(name))
    throw new CliError(
      '--dm-mod-create: expected a name of up to 127 characters without blanks, commas, semicolons, quotes, \\ or /',
    );
  if (/[,;"\\]/.test(line))
    throw new CliError(
      '--dm-mod-create: the boot parameter takes no device whose path has blanks, commas, semicolons, quotes or \\',
    );
  return `dm-mod.create="${name},,,ro,${line}"`;
}
