/**
 * What a LUKS header says, in the words of LUKS2's JSON: LUKS1's header is read into the same form.
 * Source: LUKS2 On-Disk Format Specification 1.1.3, section 3. Numbers that may pass 2^53 are strings of digits there, and stay so.
 */
export interface Metadata {
  keyslots: Record<string, Keyslot>;
  tokens: Record<string, Token>;
  segments: Record<string, Segment>;
  digests: Record<string, Digest>;
  config: Config;
}

export interface Keyslot {
  type: string;
  /** Bytes of the volume key. */
  key_size: number;
  af?: { type: string; stripes: number; hash: string };
  area: KeyslotArea;
  kdf?: Kdf;
  /** 0: only when asked for by number. 1: as without. 2: before the others. */
  priority?: number;
  /** Of a slot of type reencrypt. */
  mode?: string;
  direction?: string;
}

export interface KeyslotArea {
  type: string;
  /** Bytes from the start of the header's storage. */
  offset: string;
  size: string;
  encryption?: string;
  key_size?: number;
  /** Of re-encryption with resilience by checksums. */
  hash?: string;
  sector_size?: number;
  shift_size?: string;
}

export type Kdf =
  | { type: 'pbkdf2'; hash: string; iterations: number; salt: string }
  | { type: 'argon2i' | 'argon2id'; time: number; memory: number; cpus: number; salt: string };

export interface Segment {
  type: string;
  /** Bytes from the start of the data's storage. */
  offset: string;
  /** Bytes, or 'dynamic': to the end. */
  size: string;
  iv_tweak?: string;
  encryption?: string;
  sector_size?: number;
  integrity?: { type: string; journal_encryption?: string; journal_integrity?: string };
  flags?: string[];
}

export interface Digest {
  type: string;
  keyslots: string[];
  segments: string[];
  hash: string;
  iterations: number;
  salt: string;
  digest: string;
}

export interface Token {
  type: string;
  keyslots: string[];
  [field: string]: unknown;
}

export interface Config {
  json_size: string;
  keyslots_size?: string;
  flags?: string[];
  requirements?: { mandatory?: string[] };
}

/** A stretch in bytes. */
export interface Stretch {
  offset: number;
  size: number;
}

/** Where a slot's key material lies. Offsets and sizes have been validated as whole numbers below 2^53. */
export function areaOf(keyslot: Keyslot): Stretch {
  return { offset: Number(keyslot.area.offset), size: Number(keyslot.area.size) };
}

/** The slots of a header, in order of their numbers. */
export function slotNumbers(metadata: Metadata): number[] {
  return Object.keys(metadata.keyslots)
    .map(Number)
    .sort((a, b) => a - b);
}

/** The digest that says whether a slot's key is right. */
export function digestOf(metadata: Metadata, slot: number): Digest | undefined {
  return Object.values(metadata.digests).find(({ keyslots }) => keyslots.includes(String(slot)));
}

/** The digest of the volume key: the one of the data segment. */
export function volumeDigest(metadata: Metadata): Digest | undefined {
  const segment = dataSegmentNumber(metadata);
  return Object.values(metadata.digests).find(({ segments }) => segments.includes(segment));
}

/** Whether a slot's key opens the data; slots that do not are called unbound. */
export function isBound(metadata: Metadata, slot: number): boolean {
  return volumeDigest(metadata)?.keyslots.includes(String(slot)) ?? false;
}

/** The number of the first segment that is no backup. */
export function dataSegmentNumber(metadata: Metadata): string {
  const numbers = Object.keys(metadata.segments).sort((a, b) => Number(a) - Number(b));
  const isData = (number: string) => !metadata.segments[number]!.flags?.some((flag) => flag.startsWith('backup-'));
  return numbers.find(isData) ?? '0';
}

export function dataSegment(metadata: Metadata): Segment | undefined {
  return metadata.segments[dataSegmentNumber(metadata)];
}
