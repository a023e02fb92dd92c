export { AbortError } from './alg/abort.js';
export { type AioProbe, type AioState, type AioType, probeAio } from './alg/aio-probe.js';
export { Batch, type BatchFields } from './alg/batch.js';
export {
  type AfAlg,
  type AutoChoice,
  type Capabilities,
  capabilities,
  type OfferedAlgorithm,
} from './alg/capabilities.js';
export { type Cipher, type CipherStreamOptions, createCipheriv, createDecipheriv } from './alg/cipher.js';
export type { CipherOptions } from './alg/cipher-message.js';
export type { Data } from './alg/data.js';
export { type Answer, type Done, type Engine, type EngineName, openAio, openLanes, type Work } from './alg/engine.js';
export { AlgError, type AlgErrorFields } from './alg/error.js';
export { createHash, createHmac, type Hash, type HashOptions, type HashStreamOptions } from './alg/hash.js';
export type { Direction, IvRule } from './alg/iv.js';
export { decrypt, encrypt, hash, type SealOptions } from './alg/one-shot.js';
export type { AlgType } from './alg/proc-crypto.js';
export * as promises from './alg/promises.js';
export type { ProviderName } from './alg/provider.js';
export { type RandomOptions, randomBytes } from './alg/random.js';
export { Request } from './alg/request.js';
export type { Salt } from './alg/salt.js';
export { Tfm, type TfmOptions } from './alg/tfm.js';
export type { TfmInfo } from './alg/tfm-info.js';
export type { Bio, BioError, BioFields, BioOp, BioResult, FailedRange } from './dm/bio.js';
export { CryptConvert, type CryptOptions } from './dm/crypt/convert.js';
export { CryptError } from './dm/crypt/error.js';
export type { KeySerial } from './dm/crypt/keyring.js';
export { SectorError } from './dm/crypt/outcome.js';
export type { CipherSpec } from './dm/crypt/spec.js';
export type { Device } from './dm/device.js';
export { DeviceError, type FailedSectors } from './dm/device-error.js';
export type { Extent } from './dm/extent.js';
export type { DeviceHoldings, DeviceReport, LineReport, MappedReport, TargetHoldings } from './dm/holdings.js';
export { type OpenTableOptions, openTable } from './dm/open-table.js';
export { formatTable, parseTable, type TableLine } from './dm/table.js';
export { TableError, type TableErrorFields } from './dm/table-error.js';
export type { BlockDevice, TargetEvent } from './dm/target.js';
export { type DumpOptions, dumpVerity, type VerityHeader } from './dm/verity/dump.js';
export { type VerityCode, VerityError } from './dm/verity/error.js';
export { checkVerityFec, type FecReport } from './dm/verity/fec/fec-check.js';
export type { FecArea } from './dm/verity/fec/fec-image.js';
export type { FecImageOptions } from './dm/verity/fec/open-fec-image.js';
export { type FormatOptions, formatVerity, type VerityImage } from './dm/verity/format.js';
export type { OnProgress } from './dm/verity/on-progress.js';
export type { RepairOutput } from './dm/verity/open-files.js';
export type { VerityParameters } from './dm/verity/parameters.js';
export {
  type Repair,
  type RepairCounts,
  type RepairedBlock,
  type RepairOptions,
  repairVerity,
} from './dm/verity/repair.js';
export type { HashType } from './dm/verity/superblock.js';
export type { BadBlock } from './dm/verity/verdict.js';
export { type Verification, type VerifyOptions, verifyVerity } from './dm/verity/verify.js';
export type { NbdClientOptions, Reconnection } from './nbd/client/client.js';
export type { BacklogEvent, BioEvent, CorrectionEvent, CorruptionEvent, RequestEvent } from './observe.js';
export { ChainError } from './queue/chain-error.js';
export type { Clock } from './queue/clock.js';
export type { ChainDone } from './queue/deliveries.js';
export { type ChainMode, IvChain, type IvChainOptions } from './queue/iv-chain.js';
export type { MakeMempool, MemoryUsage } from './queue/mempool.js';
export type { MakeRequestSource } from './queue/request-source.js';
