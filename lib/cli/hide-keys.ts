import { withoutKeys } from '../base/without-keys.js';

/** Options whose values may hold keys, or be taken for those that do. */
const secret = /^--(key|key-file|table)(=|$)/;

/**
 * Overwrites what the process list shows of this program (/proc/PID/cmdline), where keys may stand in it. Until node has come this far they could be
 * seen, and the shell's history has them: a file (@FILE, --key-file) is the way.
 */
export function hideKeys(argv: readonly string[]): void {
  if (!argv.some((arg) => secret.test(arg))) return;
  const shown = argv.map(withoutKeys);
  if (shown.some((arg, index) => arg !== argv[index])) process.title = ['dmalg', ...shown].join(' ');
}
