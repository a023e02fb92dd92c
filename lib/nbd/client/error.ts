/** Bytes of a request, counted from its first. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** Why there is no connection, or why a request failed. */
export class NbdError extends Error {
  override readonly name = 'NbdError';
  /** Of a read that failed in part: the bytes that did not come. */
  readonly missing: readonly ByteRange[] | undefined;

  constructor(
    /** Name of an errno: the server's answer, the system's, or EPROTO for a server that does not keep to the protocol. */
    readonly code: string,
    message: string,
    { missing, ...options }: ErrorOptions & { missing?: readonly ByteRange[] } = {},
  ) {
    super(`${code}: ${message}`, options);
    this.missing = missing;
  }
}

/** What the server has sent is not NBD, or a lie: nothing that follows can be believed either. */
export function protocolError(message: string): NbdError {
  return new NbdError('EPROTO', `the server does not keep to the NBD protocol: ${message}`);
}
