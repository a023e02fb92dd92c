/** Bytes that are alike: a hole, which reads as zeroes and takes no space, or data. */
export interface Extent {
  length: number;
  hole: boolean;
}

/**
 * What an export's bytes lie on; a device of lib/dm is one. Offsets and lengths are bytes, and any number of operations may be in flight. What
 * fails rejects with an error whose `code` names an errno, and whose `failed` says in sectors of 512 bytes where, if that is known.
 */
export interface Backing {
  readonly size: number;
  /** Bytes that a discard has to be a multiple of, and that others are best. */
  readonly blockSize: number;
  readonly discards: boolean;
  /** What has been discarded reads as zeroes, for certain. */
  readonly discardsToZero: boolean;
  /** Fills the buffer. */
  read(offset: number, into: Uint8Array): Promise<unknown>;
  /** The bytes stay as they are until it is done. With `fua` they are on stable storage then. */
  write(offset: number, bytes: Uint8Array, options: { fua: boolean }): Promise<unknown>;
  /** All writes that are done are on stable storage then. */
  flush(): Promise<unknown>;
  discard(offset: number, length: number): Promise<unknown>;
  /** What lies there, in order. */
  extents(offset: number, length: number): Iterable<Extent>;
}

/** What clients can ask for by name; the one with the empty name is the default. */
export interface Export {
  readonly name: string;
  readonly readOnly: boolean;
  readonly backing: Backing;
}
