import type { MemoryUsage, Mempool } from '../../../base/mempool.js';
import { copySecret } from '../../../base/secret.js';
import { CryptConvert } from '../../../crypto/sector/convert.js';
import { CryptError } from '../../../crypto/sector/error.js';
import { type KeySource, parseKey, readKey, wipeKey } from '../../../crypto/sector/key.js';
import type { SectorError } from '../../../crypto/sector/outcome.js';
import { parseCipher } from '../../../crypto/sector/spec.js';
import { type Area, openArea } from '../../area.js';
import { Bio, type BioError } from '../../bio.js';
import { DeviceError } from '../../device-error.js';
import type { TargetHoldings } from '../../holdings.js';
import { joinArgs } from '../../split-args.js';
import { parseNumber } from '../../table.js';
import { TableError } from '../../table-error.js';
import type { Target, TargetContext, TargetType } from '../../target.js';
import { type CryptFeatures, formatFeatures, parseFeatures } from './features.js';
import { Kcryptd } from './kcryptd.js';

interface CryptFields extends Pick<TargetContext, 'crypto' | 'reserve' | 'makeMempool' | 'allocate'> {
  cipher: string;
  /** Bytes of any key. */
  keySize: number;
  ivOffset: bigint;
  features: CryptFeatures;
}

/** `<cipher> <key> <iv_offset> <dev> <offset> [<#opts> <opt>...]` (drivers/md/dm-crypt.c). */
class Crypt implements Target {
  readonly flushes = true;
  readonly discards: boolean;
  readonly blockSize: number;
  readonly maxSectors = longestBio;
  readonly #fields: CryptFields;
  readonly #area: Area;
  readonly #kcryptd: Kcryptd;
  /**
   * What a write is encrypted into when there is no memory for bytes of its own: the longest one's, whatever `reserve` is (page_pool, of
   * BIO_MAX_VECS pages). A write holds them until the one below it has ended.
   */
  readonly #pages: Mempool<Uint8Array>;
  #convert: CryptConvert;
  /** What status prints: hex, or a key's name. Wiped: zeroes. */
  #keyText: string;
  #keyValid = true;
  #suspended = false;

  constructor(fields: CryptFields, key: KeySource, convert: CryptConvert, area: Area, kcryptd: Kcryptd) {
    this.#fields = fields;
    this.#convert = convert;
    this.#area = area;
    this.#kcryptd = kcryptd;
    const bytes = longestBio * 512;
    const allocate = () => Buffer.allocUnsafeSlow(bytes);
    this.#pages = fields.makeMempool<Uint8Array>('pages of a write', { reserve: 1, allocate, bytes });
    this.#keyText = textOf(key);
    this.discards = fields.features.allowDiscards && area.device.discards;
    this.blockSize = Math.max(fields.features.sectorSize, area.device.blockSize);
  }

  map(bio: Bio): void {
    const unit = this.#fields.features.sectorSize / 512;
    if (bio.op === 'flush' || bio.op === 'discard') this.#area.submit(bio);
    else if (bio.sector % unit || bio.sectors % unit)
      bio.end('EIO'); // DM_MAPIO_KILL
    else if (bio.op === 'read') this.#read(bio);
    else this.#write(bio);
  }

  /** kcryptd_io_read, then kcryptd_crypt_read_convert. */
  #read(bio: Bio): void {
    const { sector } = bio;
    const below = new Bio({ op: 'read', sector, bytes: bio.bytes }, (error) => {
      // What was read is converted also where something beside it was not.
      this.#convert.start(
        'decrypt',
        sector,
        bio.bytes,
        bio.bytes,
        this.#kcryptd.readsOf(bio.bytes.length),
        (failure) => {
          bio.end(error ?? this.#bioError(failure, sector));
        },
      );
    });
    this.#area.submit(below);
  }

  /** crypt_alloc_buffer: into pages of its own, since the plaintext is the submitter's; the allocator's, or the device's, in turn. */
  #write(bio: Bio): void {
    const { length } = bio.bytes;
    let bytes: Uint8Array;
    try {
      bytes = this.#fields.allocate(length);
    } catch {
      void this.#pages
        .take()
        .then((pages) => this.#encrypt(bio, pages.subarray(0, length), () => this.#pages.give(pages)));
      return;
    }
    this.#encrypt(bio, bytes, () => {});
  }

  /** kcryptd_crypt_write_convert. */
  #encrypt(bio: Bio, bytes: Uint8Array, release: () => void): void {
    const { sector, fua } = bio;
    this.#convert.start('encrypt', sector, bio.bytes, bytes, this.#kcryptd.writes, (failure, asynchronous) => {
      if (failure) {
        release();
        return bio.end(this.#bioError(failure, sector));
      }
      const below = new Bio({ op: 'write', sector, bytes, fua }, (error) => {
        release();
        bio.end(error);
      });
      this.#kcryptd.submitWrite(below, asynchronous);
    });
  }

  #bioError(failure: SectorError | null, sector: number): BioError | null {
    if (!failure) return null;
    const count = this.#fields.features.sectorSize / 512;
    return {
      code: 'EIO',
      failed: failure.sectors.map((first) => ({ first: first - sector, count })),
      cause: failure.cause,
    };
  }

  memoryUsage(): MemoryUsage {
    const [pages, requests] = [this.#pages.memoryUsage(), this.#convert.memoryUsage()];
    return { reserved: pages.reserved + requests.reserved, inUse: pages.inUse + requests.inUse };
  }

  holdings(): Partial<TargetHoldings> {
    return this.#kcryptd.holdings();
  }

  status(kind: 'info' | 'table', showKeys: boolean): string {
    if (kind === 'info') return '';
    const { cipher, ivOffset, features } = this.#fields;
    // As dmsetup hides them: a name in the keyring is none, and '-' becomes one zero.
    const keyText = showKeys || this.#keyText.startsWith(':') ? this.#keyText : '0'.repeat(this.#keyText.length);
    return [joinArgs([cipher, keyText]), ivOffset, this.#area.describe(), ...formatFeatures(features)].join(' ');
  }

  /** `key set <key>`, `key wipe`. Source: drivers/md/dm-crypt.c:crypt_message. */
  async message(argv: string[]): Promise<undefined> {
    const [word = '', verb = '', text] = argv.map((arg, index) => (index < 2 ? arg.toLowerCase() : arg));
    const isSet = verb === 'set' && argv.length === 3;
    if (word !== 'key' || argv.length < 2) throw new DeviceError('EINVAL', 'unrecognised message received.');
    if (!this.#suspended) throw new DeviceError('EINVAL', 'not suspended during key manipulation.');
    if (isSet) this.#setKey(text!);
    else if (verb === 'wipe' && argv.length === 2) this.#wipeKey();
    else throw new DeviceError('EINVAL', 'unrecognised message received.');
  }

  #setKey(text: string): void {
    const { keySize: size } = this.#fields;
    try {
      const key = parseKey(text);
      if (key.size !== size) throw new DeviceError('EINVAL', `key: expected ${size} bytes, got ${key.size}`);
      const fresh = withKey(key, {}, (material) => openConvert(this.#fields, material));
      this.#convert.close();
      this.#convert = fresh;
      this.#keyText = textOf(key);
      this.#keyValid = true;
    } catch (error) {
      if (error instanceof CryptError) throw new DeviceError(error.code, error.message);
      throw error;
    }
  }

  #wipeKey(): void {
    this.#convert.close();
    this.#keyText = '0'.repeat(this.#fields.keySize * 2) || '-';
    this.#keyValid = false;
  }

  postsuspend(): void {
    this.#suspended = true;
  }
  preresume(): void {
    if (!this.#keyValid) throw new DeviceError('EAGAIN', 'aborting resume - crypt key is not set.');
  }
  resume(): void {
    this.#suspended = false;
  }
  close(): void {
    this.#kcryptd.close();
    this.#convert.close();
    this.#keyText = '';
  }
}

function textOf(key: KeySource): string {
  if (key.kind === 'none') return '-';
  if (key.kind === 'hex') return key.text.slice(0, key.size * 2).toLowerCase();
  return `:${key.size}:${key.type}:${key.description}`;
}

/** Lends the bytes of a key, and wipes them. @throws CryptError */
function withKey<T>(key: KeySource, keys: TargetContext['keys'], use: (material: ReturnType<typeof readKey>) => T): T {
  const given = key.kind === 'keyring' ? keys[`${key.type}:${key.description}`] : undefined;
  const material = given?.length === key.size ? copySecret(given) : readKey(key);
  try {
    return use(material);
  } finally {
    wipeKey(material);
  }
}

/** @throws CryptError */
function openConvert(
  { cipher, ivOffset, features, crypto, reserve, makeMempool }: Omit<CryptFields, 'keySize'>,
  key: ReturnType<typeof readKey>,
): CryptConvert {
  const { sectorSize, ivLargeSectors } = features;
  // Each conversion is told its engine, one of kcryptd's.
  const engines = { ...crypto, engine: 'sync' as const };
  return new CryptConvert({ cipher, key, ivOffset, sectorSize, ivLargeSectors, reserve, makeMempool, ...engines });
}

/** A closure made in ctr would keep all that ctr knows, the key too. */
const submitTo = (area: Area) => (bio: Bio) => area.submit(bio);

/** The kernel complains of the cipher and the key before it looks at the offset. */
async function ctr(args: readonly string[], context: TargetContext): Promise<Target> {
  if (args.length < 5)
    throw new TableError('Not enough arguments', { hint: 'expected <cipher> <key> <iv_offset> <dev> <offset>' });
  const [cipher, keyText, offsetText, spec, start] = args as [string, string, string, string, string];
  if (keyText.startsWith(':') && !/^:\d+:/.test(keyText))
    throw new TableError('Cannot parse key size', { argument: 1 });
  const features = parseFeatures(args, 5, context.length);
  const { crypto, reserve, makeMempool, allocate, keys, inlineBytes } = context;
  const fields = { cipher, features, crypto, reserve, makeMempool, allocate };
  let convert: CryptConvert | undefined;
  let kcryptd: Kcryptd | undefined;
  try {
    await inTable(() => parseCipher(cipher)); // is complained of before the key
    const key = await inTable(() => parseKey(keyText));
    const given = /^\d{1,20}$/.test(offsetText) ? BigInt(offsetText) : -1n;
    const isValid = given >= 0n && given < 1n << 64n && given % BigInt(features.sectorSize / 512) === 0n;
    const ivOffset = isValid ? given : 0n;
    convert = await inTable(() => withKey(key, keys, (material) => openConvert({ ...fields, ivOffset }, material)));
    if (!isValid) throw new TableError('Invalid iv_offset sector', { argument: 2, value: offsetText });
    await context.openDevice(spec, 3);
    const sector = parseNumber(start);
    if (sector === undefined) throw new TableError('Invalid device sector', { argument: 4, value: start });
    if (features.integrity)
      throw new TableError('Integrity profile not supported.', {
        argument: 3,
        value: spec,
        hint: 'no device here has one',
      });
    const area = await openArea(context, { spec, argument: 3, start: sector }, features.sectorSize);
    const { engine } = crypto;
    const {
      spec: { cipherName },
      provider,
    } = convert;
    const submit = submitTo(area);
    kcryptd = await inTable(() =>
      Kcryptd.open({ features, cipher: cipherName, provider, engine, inlineBytes, submit }),
    );
    return new Crypt({ ...fields, keySize: key.size, ivOffset }, key, convert, area, kcryptd);
  } catch (error) {
    kcryptd?.close();
    convert?.close();
    throw error;
  }
}

/** What the conversion refuses, as the table's error. @throws TableError */
async function inTable<T>(make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof CryptError)) throw error;
    const { code, detail: hint } = error;
    const fields = { argument: error.argument === 'key' ? 1 : 0, code, ...(hint && { hint }) };
    throw new TableError(error.reason, fields, { cause: error });
  }
}

/** BIO_MAX_VECS pages: writes are no longer (crypt_map); here reads neither, so that many may be in flight. Sectors. */
const longestBio = 2048;

export const crypt: TargetType = { name: 'crypt', version: [1, 28, 0], ctr };
