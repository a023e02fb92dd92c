export interface GuestJob {
  /** Program and arguments. */
  command: string[];
  /** Absolute folder to run it in. */
  cwd: string;
  env: Record<string, string>;
  /** Host folder with the kernel's modules (`lib/modules/RELEASE`). */
  modules: string;
  /** Absolute folder of the writable share, if there is one. */
  output?: string | undefined;
}

/** Which of the caller's variables the command sees. Others name things that the guest has not, such as sockets and agents. */
const passed =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|COLORTERM|LANG|LANGUAGE|LC_\w+|TZ|CI|DEBUG|NO_COLOR|FORCE_COLOR|LD_PRELOAD|LD_LIBRARY_PATH|(A|L|T|UB)SAN_OPTIONS|(NODE|DMALG|MOCHA|npm)_\w+)$/;

/** File descriptors of an IPC channel that do not exist in the guest. */
const withheld = /^NODE_CHANNEL_/;

/** The part of an environment that goes into the guest. */
export function guestEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && passed.test(name) && !withheld.test(name)) result[name] = value;
  return result;
}

/** One word of a POSIX shell, whatever the text holds. @throws RangeError for a NUL, which no argument can hold. */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new RangeError('an argument or path cannot hold a NUL character');
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The job as a shell script. init reads it for the variables; run with the argument `run`, inside the host's file system, it becomes
 * the command. The shell reports 127 for a command that is not there and 126 for one that cannot be executed.
 */
export function guestScript(job: GuestJob): string {
  const lines = [
    `lab_modules=${shellQuote(job.modules)}`,
    `lab_output=${shellQuote(job.output ?? '')}`,
    `lab_cwd=${shellQuote(job.cwd)}`,
    '[ "$1" = run ] || return 0',
    // init's own variables are not the command's.
    'unset lab_modules lab_output',
    'cd -- "$lab_cwd" || exit 126',
    'unset lab_cwd PWD OLDPWD',
  ];
  for (const [name, value] of Object.entries(job.env))
    if (/^[A-Za-z_]\w*$/.test(name)) lines.push(`export ${name}=${shellQuote(value)}`);
  lines.push(`exec ${job.command.map(shellQuote).join(' ')}`);
  return `${lines.join('\n')}\n`;
}
