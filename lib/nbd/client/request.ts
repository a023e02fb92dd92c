import type { Coverage } from './coverage.js';
import type { NbdError } from './error.js';

const noBytes = new Uint8Array(0);

export interface NbdRequestFields {
  /** NBD_CMD_ */
  command: number;
  /** NBD_CMD_FLAG_ */
  flags?: number;
  /** Bytes of the export. */
  offset?: number;
  length?: number;
  /** What a write writes, a read fills: `length` bytes, which stay the submitter's but unchanged until it is done. */
  bytes?: Uint8Array;
}

/**
 * One request, which may have to be sent several times until it is answered: each command that the client knows may be repeated without harm.
 * It is done exactly once. After a failure the bytes of a read are undefined where they are missing.
 */
export class NbdRequest {
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array;
  /** When it was sent last, by the client's clock. */
  sentAt = 0;
  /** Since when it has had to do with broken connections or none. */
  troubledSince: number | undefined;
  /** What has come of a read, in structured replies. */
  coverage: Coverage | undefined;
  /** The first error among the chunks of its reply. */
  error: { code: string; message: string; hasOffset: boolean } | undefined;

  constructor(
    { command, flags = 0, offset = 0, length = 0, bytes = noBytes }: NbdRequestFields,
    readonly done: (error: NbdError | null) => void,
  ) {
    this.command = command;
    this.flags = flags;
    this.offset = offset;
    this.length = length;
    this.bytes = bytes;
  }
}
