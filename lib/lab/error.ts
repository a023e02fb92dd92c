/**
 * What went wrong before, around or instead of the command:
 * `tools` a program is missing on this host; `offer` the package is not offered; `fetch` it could not be downloaded or unpacked;
 * `space` disk full; `start` QEMU did not start; `died` the test kernel stopped; `timeout`; `aborted`; `output` the reader of the output went away.
 */
export type LabErrorCode =
  | 'tools'
  | 'offer'
  | 'fetch'
  | 'space'
  | 'start'
  | 'died'
  | 'timeout'
  | 'aborted'
  | 'output'
  | 'usage';

/** The lab could not run the command. The message is one line: cause and remedy. */
export class LabError extends Error {
  override readonly name = 'LabError';
  constructor(
    readonly code: LabErrorCode,
    message: string,
    /** What the kernel and QEMU said until then, where there was any. */
    readonly console = '',
  ) {
    super(message);
  }
}
