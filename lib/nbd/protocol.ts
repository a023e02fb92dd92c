/** Numbers of the NBD protocol, named as doc/proto.md of the NetworkBlockDevice project names them. */

export const magic = {
  nbd: 0x4e42444d41474943n,
  option: 0x49484156454f5054n,
  optionReply: 0x3e889045565a9n,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

/** Of the server, in its greeting (NBD_FLAG_). */
export const HandshakeFlag = { fixedNewstyle: 1 << 0, noZeroes: 1 << 1 } as const;

/** What a client asks for before it has an export (NBD_OPT_). */
export const Option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** What a server answers to an option (NBD_REP_); errors have bit 31. */
export const OptionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errUnsup: 0x80000001,
  errPolicy: 0x80000002,
  errInvalid: 0x80000003,
  errPlatform: 0x80000004,
  errTlsRequired: 0x80000005,
  errUnknown: 0x80000006,
  errShutdown: 0x80000007,
  errBlockSizeRequired: 0x80000008,
  errTooBig: 0x80000009,
} as const;

/** Pieces of an answer to NBD_OPT_INFO or NBD_OPT_GO (NBD_INFO_). */
export const Info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What an export can do (NBD_FLAG_, 16 bits). */
export const TransmissionFlag = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  rotational: 1 << 4,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

/** NBD_CMD_ */
export const Command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** NBD_CMD_FLAG_ */
export const CommandFlag = { fua: 1 << 0, noHole: 1 << 1, df: 1 << 2, reqOne: 1 << 3, fastZero: 1 << 4 } as const;

/** Of a structured reply (NBD_REPLY_FLAG_, NBD_REPLY_TYPE_). */
export const ReplyFlag = { done: 1 << 0 } as const;
export const ReplyType = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** Of an extent of `base:allocation` (NBD_STATE_). */
export const AllocationState = { hole: 1 << 0, zero: 1 << 1 } as const;

/** Errors of transmission: Linux's errno of the same name, for these only. */
export const NbdErrno = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** Bytes of a request before its data; of a simple reply; of a structured reply's chunk before its payload. */
export const requestBytes = 28;
export const simpleReplyBytes = 16;
export const structuredReplyBytes = 20;

/** Longest string, and longest payload that every server and client takes. */
export const maxString = 4096;
export const maxPayload = 32 << 20;

export const defaultPort = 10809;
