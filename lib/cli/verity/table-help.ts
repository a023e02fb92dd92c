import type { OptionHelp } from '../command.js';

/** The optional arguments of a verity line, as veritysetup spells them. */
export const tableHelp: Record<string, OptionHelp> = {
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
