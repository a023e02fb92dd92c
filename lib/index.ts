export { AbortError } from './base/abort.js';
export type { Clock } from './base/clock.js';
export type { MemoryUsage } from './base/mempool.js';
export type { BacklogEvent, BioEvent, CorrectionEvent, CorruptionEvent, RequestEvent } from './base/observe.js';
export { ChainError } from './chain/chain-error.js';
export type { ChainDone } from './chain/deliveries.js';
export { type ChainMode, IvChain, type IvChainOptions } from './chain/iv-chain.js';
export {
  type AfAlg,
  type AutoChoice,
  type Capabilities,
  capabilities,
  type OfferedAlgorithm,
} from './crypto/capabilities.js';
export {
  type Answer,
  type Done,
  type Engine,
  type EngineHoldings,
  type EngineName,
  openAio,
  openLanes,
  type Work,
} from './crypto/engine/engine.js';
export { AlgError, type AlgErrorFields } from './crypto/error.js';
export { type AioProbe, type AioState, type AioType, probeAio } from './crypto/provider/aio-probe.js';
export type { AlgType } from './crypto/provider/proc-crypto.js';
export type { ProviderName } from './crypto/provider/provider.js';
export { Batch, type BatchFields } from './crypto/request/batch.js';
export type { Direction, IvRule } from './crypto/request/iv.js';
export { Request } from './crypto/request/request.js';
export type { Salt } from './crypto/request/salt.js';
export type { ObservedWork, RequestFacts } from './crypto/request/submit.js';
export { Tfm, type TfmOptions } from './crypto/request/tfm.js';
export type { TfmInfo } from './crypto/request/tfm-info.js';
export { type Converted, CryptConvert, type CryptOptions } from './crypto/sector/convert.js';
export { CryptError } from './crypto/sector/error.js';
export type { KeySerial } from './crypto/sector/keyring.js';
export { SectorError } from './crypto/sector/outcome.js';
export type { CipherSpec } from './crypto/sector/spec.js';
export { type Cipher, type CipherStreamOptions, createCipheriv, createDecipheriv } from './crypto/stream/cipher.js';
export type { CipherOptions } from './crypto/stream/cipher-message.js';
export type { Data, Key } from './crypto/stream/data.js';
export { createHash, createHmac, type Hash, type HashOptions, type HashStreamOptions } from './crypto/stream/hash.js';
export { decrypt, encrypt, hash, type SealOptions } from './crypto/stream/one-shot.js';
export * as promises from './crypto/stream/promises.js';
export { type RandomOptions, randomBytes } from './crypto/stream/random.js';
export type { Bio, BioError, BioFields, BioOp, BioResult, FailedRange } from './dm/bio.js';
export type { Device } from './dm/device.js';
export { DeviceError, type FailedSectors } from './dm/device-error.js';
export type { Extent } from './dm/extent.js';
export type {
  DeviceHoldings,
  DeviceReport,
  LineReport,
  MappedReport,
  MempoolHoldings,
  TargetHoldings,
} from './dm/holdings.js';
export { type OpenLuksOptions, openLuks } from './dm/luks.js';
export { type OpenTableOptions, openTable } from './dm/open-table.js';
export { formatTable, parseTable, type TableLine } from './dm/table.js';
export { TableError, type TableErrorFields } from './dm/table-error.js';
export type { BlockDevice, TargetEvent } from './dm/target.js';
export type { CorruptionMode, ErrorMode, FecFeature, VerityFeatures } from './dm/targets/verity/features.js';
export { type VerityTableOptions, verityTable } from './dm/targets/verity/image-table.js';
export { LuksError, type LuksErrorCode } from './luks/error.js';
export type { NbdClientOptions, Reconnection } from './nbd/client/client.js';
export type { OnProgress } from './verity/block-runs.js';
export { type DumpOptions, dumpVerity, type VerityHeader } from './verity/dump.js';
export { type VerityCode, VerityError } from './verity/error.js';
export type { FecArea, FecHeader } from './verity/fec/fec-image.js';
export type { FecImageOptions, FecInput } from './verity/fec/open-fec-image.js';
export { type FormatOptions, formatVerity, type VerityImage } from './verity/format.js';
export type { RepairOutput } from './verity/open-files.js';
export type { RootHash, VerityParameters } from './verity/parameters.js';
export {
  type Repair,
  type RepairCounts,
  type RepairedBlock,
  type RepairOptions,
  repairVerity,
} from './verity/repair.js';
export { planVerity, type SizeOptions, type VeritySize, veritySize } from './verity/size.js';
export type { HashType } from './verity/superblock.js';
export type { BadBlock } from './verity/verdict.js';
export { type FecVerdict, type Verification, type VerifyOptions, verifyVerity } from './verity/verify.js';
