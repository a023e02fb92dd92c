import { NbdClient, type NbdClientOptions } from '../nbd/client/client.js';
import type { NbdError } from '../nbd/client/error.js';
import { Command, CommandFlag, TransmissionFlag } from '../nbd/protocol.js';
import { formatNbdUri, type NbdUri, parseNbdUri } from '../nbd/uri.js';
import { type Bio, type BioError, type FailedRange, sectorSize } from './bio.js';
import type { DeviceHoldings } from './holdings.js';
import { Join } from './split.js';
import { TableError } from './table-error.js';
import type { BlockDevice } from './target.js';

export interface NbdDeviceOptions extends NbdClientOptions {
  readOnly: boolean;
}

/** Largest logical block that a device here has. */
const maxBlock = 4096;
/** Longest trim, in sectors. It carries no data, so that what a server takes in one request does not bound it, but 32 bits do. */
const maxTrimSectors = (1 << 30) / sectorSize;

const commands = { read: Command.read, write: Command.write, flush: Command.flush, discard: Command.trim };

/**
 * An export of an NBD server: `nbd://HOST/NAME` or `nbd+unix:///NAME?socket=PATH` in a table line. It ends with its last whole block. What a
 * discard leaves is anything: the server need not do it. A server without NBD_FLAG_SEND_FLUSH says that it has no cache to flush, as the
 * kernel's drivers/block/nbd.c takes it: a flush succeeds and nothing is sent.
 */
export class NbdDevice implements BlockDevice {
  readonly sectors: number;
  readonly blockSize: number;
  readonly discards: boolean;
  /** Longest read or write of one request. */
  readonly #maxSectors: number;

  private constructor(
    readonly client: NbdClient,
    readonly readOnly: boolean,
  ) {
    const { size, minBlock, maxPayload } = client.info;
    this.blockSize = Math.max(sectorSize, minBlock);
    this.sectors = (Math.floor(size / this.blockSize) * this.blockSize) / sectorSize;
    this.discards = this.#can('sendTrim');
    this.#maxSectors = (Math.floor(maxPayload / this.blockSize) * this.blockSize) / sectorSize;
  }

  /** @throws TableError `Device lookup failed` with what is wrong with the URI, the server or the export */
  static async open(spec: string, argument: number, { readOnly, ...options }: NbdDeviceOptions): Promise<NbdDevice> {
    const refuse = (code: string, hint: string, cause?: unknown) =>
      new TableError('Device lookup failed', { argument, value: spec, code, hint }, { cause });
    let uri: NbdUri;
    try {
      uri = parseNbdUri(spec);
    } catch (error) {
      throw refuse('EINVAL', (error as RangeError).message, error);
    }
    const client = await NbdClient.open(uri, options).catch((error: NbdError) => {
      throw refuse(error.code, error.message, error);
    });
    const { flags, minBlock, maxPayload } = client.info;
    let problem: [code: string, hint: string] | undefined;
    if (minBlock > maxBlock)
      problem = ['ERANGE', `the server wants blocks of ${minBlock} bytes, more than ${maxBlock}`];
    else if (maxPayload < Math.max(sectorSize, minBlock))
      problem = ['ERANGE', `the server takes at most ${maxPayload} bytes, less than a block`];
    else if (!readOnly && flags & TransmissionFlag.readOnly) problem = ['EROFS', 'the export is read-only'];
    if (problem) {
      client.close();
      throw refuse(...problem);
    }
    return new NbdDevice(client, readOnly);
  }

  submit(bio: Bio): void {
    if (bio.op === 'flush') {
      if (this.#can('sendFlush')) this.#send(bio);
      else bio.end();
    } else if (bio.sector + bio.sectors > this.sectors) bio.end('EIO');
    else if (bio.op !== 'read' && this.readOnly) bio.end('EROFS');
    else if (bio.op === 'discard' && !this.discards) bio.end('EOPNOTSUPP');
    else this.#split(bio, bio.op === 'discard' ? maxTrimSectors : this.#maxSectors);
  }

  /** Sends a bio in requests of at most so many sectors, which are in flight together. */
  #split(bio: Bio, most: number): void {
    if (bio.sectors <= most) {
      this.#send(bio);
      return;
    }
    const join = new Join(bio);
    for (let first = 0; first < bio.sectors; first += most)
      this.#send(join.piece(first, Math.min(most, bio.sectors - first), bio.sector + first));
    join.close();
  }

  #send(bio: Bio): void {
    const { op, bytes, sectors } = bio;
    const isFua = bio.fua && op === 'write';
    const hasFua = isFua && this.#can('sendFua');
    const request = {
      command: commands[op],
      flags: hasFua ? CommandFlag.fua : 0,
      offset: op === 'flush' ? 0 : bio.sector * sectorSize,
      length: sectors * sectorSize,
      bytes,
    };
    this.client.submit(request, (error) => {
      if (error || !isFua || hasFua || !this.#can('sendFlush')) bio.end(error && failure(error, sectors));
      else this.client.submit({ command: Command.flush }, (error) => bio.end(error && failure(error, sectors)));
    });
  }

  #can(flag: keyof typeof TransmissionFlag): boolean {
    return (this.client.info.flags & TransmissionFlag[flag]) !== 0;
  }

  describe(): string {
    return formatNbdUri(this.client.uri);
  }

  holdings(): DeviceHoldings {
    const { inFlight, waiting } = this.client;
    return { descriptors: inFlight === undefined ? 0 : 1, inFlight: inFlight ?? 0, waiting };
  }

  async close(): Promise<void> {
    this.client.close();
  }
}

/** The sectors that an error leaves without their bytes: all of them, where the server does not say which. */
function failure(error: NbdError, sectors: number): BioError {
  const failed: FailedRange[] = (error.missing ?? [{ offset: 0, length: sectors * sectorSize }]).map(
    ({ offset, length }) => {
      const first = Math.floor(offset / sectorSize);
      return { first, count: Math.ceil((offset + length) / sectorSize) - first };
    },
  );
  return { code: error.code, failed, cause: error };
}
