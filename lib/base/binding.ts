import { loadAddon } from './addon.js';

/** Opaque handles of the addon. Each has its own tag: one kind is never taken for another. */
declare const kind: unique symbol;
export interface TfmHandle {
  readonly [kind]: 'tfm';
}
export interface OpHandle {
  readonly [kind]: 'op';
}
export interface EngineHandle {
  readonly [kind]: 'engine';
}
export interface CodeHandle {
  readonly [kind]: 'code';
}
export interface ParityHandle {
  readonly [kind]: 'parity';
}
/**
 * Called on the JavaScript thread with the number of entries in the ring: {id, bytes or -errno, 1 if asynchronous, when
 * it began, when it ended}, the times as monotonic() or 0 where they cannot be told.
 */
export type Deliver = (count: number) => void;
/** Numbers of such an entry. */
export const ringEntry = 5;

/** Numbers shared with native/tfm.h and native/library_tfm.h. */
export const typeNumber = { hash: 0, skcipher: 1, aead: 2, rng: 3 } as const;
export const libraryKind = {
  digest: 0,
  hmac: 1,
  cmac: 2,
  cipher: 3,
  gcm: 4,
  ccm: 5,
  chacha20poly1305: 6,
  random: 7,
  interleaved: 8,
} as const;
/** Flags of a unit: the direction, what of it is in the op already (its data, or its IV too), and where its salt goes. */
export const unitFlag = { decrypt: 0, encrypt: 1, stagedData: 2, stagedAll: 4, saltLast: 8 } as const;

/** A unit as native code takes it. */
export type UnitArguments = [
  flags: number,
  iv: Uint8Array | null,
  assoc: number,
  src: Uint8Array,
  dst: Uint8Array,
  salt: Uint8Array | null,
];

/** A batch as native code takes it. */
export type BatchArguments = [
  tfm: TfmHandle,
  flags: number,
  ivs: Uint8Array | null,
  src: Uint8Array,
  dst: Uint8Array,
  srcStride: number,
  dstStride: number,
  status: Int32Array,
  salt: Uint8Array | null,
];

/** Words of a Reed-Solomon code to be corrected, as native code takes them: see native/reed_solomon.h. */
export type WordArguments = [
  code: CodeHandle,
  message: Uint8Array,
  parity: Uint8Array,
  rows: number,
  erased: Uint8Array,
  status: Int16Array,
  changed: Uint32Array,
];

/**
 * The native functions. Each returns a number >= 0, a handle, or -errno. They check only what could corrupt memory;
 * whoever calls them has validated the arguments.
 */
export interface Binding {
  af_alg_probe(): number;
  kernel_open(type: number, name: string, feat: number, mask: number, syscall: string[]): TfmHandle | number;
  library_open(libraryKind: number, evpName: string): TfmHandle | number;
  tfm_set_key(tfm: TfmHandle, key: Uint8Array): number;
  tfm_set_key_serial(tfm: TfmHandle, serial: number): number;
  tfm_set_authsize(tfm: TfmHandle, size: number): number;
  tfm_set_limit(tfm: TfmHandle, bytes: number): number;
  tfm_close(tfm: TfmHandle): number;
  op_open(tfm: TfmHandle): OpHandle | number;
  op_clone(op: OpHandle): OpHandle | number;
  op_close(op: OpHandle): number;
  op_reset(op: OpHandle): number;
  op_max_request(op: OpHandle): number;
  op_update(op: OpHandle, src: Uint8Array): number;
  op_final(op: OpHandle, dst: Uint8Array): number;
  op_run(op: OpHandle, ...unit: UnitArguments): number;
  op_stage(op: OpHandle, ...unit: UnitArguments): number;
  lanes_open(lanes: number, deliver: Deliver, ring: Float64Array, nice: number): EngineHandle | number;
  aio_open(depth: number, deliver: Deliver, ring: Float64Array): EngineHandle | number;
  engine_close(engine: EngineHandle): number;
  engine_submit(engine: EngineHandle, id: number, op: OpHandle, ...unit: UnitArguments): number;
  engine_submit_update(engine: EngineHandle, id: number, op: OpHandle, src: Uint8Array): number;
  batch_run(...batch: BatchArguments): number;
  engine_submit_batch(engine: EngineHandle, id: number, ...batch: BatchArguments): number;
  file_discard(fd: number, isDevice: boolean, offset: number, length: number, done: (result: number) => void): number;
  file_read_cached(fd: number, bytes: Uint8Array, offset: number): number;
  file_seek(fd: number, offset: number, hole: boolean): number;
  /** Gives the file, which may have no name, one more. */
  file_link(fd: number, path: string): number;
  device_block_size(fd: number): number;
  bytes_misalignment(bytes: Uint8Array, alignment: number): number;
  key_request(type: string, description: string): number;
  key_read(serial: number, into: Uint8Array): number;
  /** SIGTERM when the parent has ended. */
  end_with_parent(): number;
  /** Argon2i (1) or Argon2id (2), RFC 9106, into all of `into`; `done` is called later, with 0 or -errno. */
  argon2(
    type: 1 | 2,
    passes: number,
    kibibytes: number,
    lanes: number,
    password: Uint8Array,
    salt: Uint8Array,
    into: Uint8Array,
    done: (result: number) => void,
  ): number;
  /** The ways in which this processor multiplies in GF(2^8), the fastest first, and 'portable' last. */
  galois_paths(): string[];
  /** dst has a row as long as src for each factor, and its product is added to that. For tests. */
  galois_accumulate(path: number, factors: Uint8Array, src: Uint8Array, dst: Uint8Array): number;
  /** `path`: an index of galois_paths. */
  rs_open(roots: number, path: number): CodeHandle | number;
  rs_decode(...words: WordArguments): number;
  engine_submit_rs_decode(engine: EngineHandle, id: number, ...words: WordArguments): number;
  parity_open(code: CodeHandle, codewords: number, columns: number): ParityHandle | number;
  parity_reset(parity: ParityHandle, first: number): number;
  parity_add(parity: ParityHandle, position: number, src: Uint8Array): number;
  engine_submit_parity_add(
    engine: EngineHandle,
    id: number,
    parity: ParityHandle,
    position: number,
    src: Uint8Array,
  ): number;
  parity_read(parity: ParityHandle, column: number, dst: Uint8Array): number;
  parity_close(parity: ParityHandle): number;
}

let loaded: Binding | undefined;

/** The addon, loaded at first use, so that importing the package never throws. @throws Error with the remedy. */
export function binding(): Binding {
  loaded ??= loadAddon() as Binding;
  return loaded;
}
