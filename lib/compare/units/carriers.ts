import { monotonic } from '../../base/monotonic.js';
import type { Done } from '../../crypto/engine/engine.js';
import type { Request } from '../../crypto/request/request.js';
import type { Tfm } from '../../crypto/request/tfm.js';
import { putSector, sectorsPerUnit, type UnitsBio } from './material.js';
import type { BioRecord } from './record.js';
import { batchFields, type UnitsWork, unitsPerBio } from './work.js';

/** What is there for a bio before it comes: as in the kernel, nothing of it is allocated then. Several arms use the same. */
export class Reserve {
  readonly ivs: Uint8Array;
  readonly ivView: DataView;
  readonly status = new Int32Array(unitsPerBio);
  readonly requests: readonly Request[];

  constructor(
    readonly work: UnitsWork,
    readonly tfm: Tfm,
  ) {
    const { direction, ivSize, salt } = work;
    this.ivs = new Uint8Array(unitsPerBio * ivSize);
    this.ivView = new DataView(this.ivs.buffer);
    this.requests = Array.from({ length: unitsPerBio }, (_, place) => {
      const request = tfm.request();
      const iv = ivSize ? this.ivs.subarray(place * ivSize, (place + 1) * ivSize) : null;
      return Object.assign(request, { direction, iv, salt });
    });
  }

  /** The IV of a unit, at a place. */
  putIv(place: number, bio: UnitsBio, unit: number): void {
    const { ivSize } = this.work;
    if (ivSize) putSector(this.ivView, place * ivSize, bio.sector + unit * sectorsPerUnit);
  }
}

/** Takes bios through, one at a time. */
export interface Carrier {
  /** Resolves when all units are done; `record` then has its end. */
  carry(bio: UnitsBio, record: BioRecord): Promise<void>;
}

/** Of those that make requests of a bio: who counts what is left of it. */
abstract class Requests implements Carrier {
  protected readonly reserve: Reserve;
  protected bio!: UnitsBio;
  protected record!: BioRecord;
  #left = 0;
  #resolve!: () => void;

  constructor(reserve: Reserve) {
    this.reserve = reserve;
  }
  carry(bio: UnitsBio, record: BioRecord): Promise<void> {
    return new Promise((resolve) => {
      this.bio = bio;
      this.record = record;
      this.#left = this.pieces;
      this.#resolve = resolve;
      this.send();
    });
  }

  /** In how many pieces the bio goes. */
  protected abstract readonly pieces: number;
  protected abstract send(): void;

  protected ended(error: Error | undefined): void {
    this.record.error ??= error;
    if (--this.#left > 0) return;
    this.record.end = monotonic();
    this.#resolve();
  }
}

const failure = (request: Request) => (request.result < 0 ? request.error(request.result) : undefined);

abstract class UnitRequests extends Requests {
  protected readonly pieces = unitsPerBio;
  readonly #dones: Done[];

  constructor(reserve: Reserve) {
    super(reserve);
    this.#dones = reserve.requests.map((request, place) => () => {
      this.record.completed(place, request);
      this.ended(failure(request));
      this.next(place);
    });
  }

  /** What is to be done when the request at a place has completed later. */
  protected abstract next(place: number): void;

  protected build(place: number, unit: number): void {
    const request = this.reserve.requests[place]!;
    const { src, dst } = this.bio.pages[unit]!;
    this.reserve.putIv(place, this.bio, unit);
    request.src = src;
    request.dst = dst;
  }
  /** Hands over a request on which there has been work since `from`. Whether it is done. */
  protected submit(place: number, from: number): boolean {
    const request = this.reserve.requests[place]!;
    if (request.submit(this.#dones[place]!) !== 'done') {
      this.record.handed(place, from);
      return false;
    }
    this.record.ran(from, request.began, request.ended);
    this.ended(failure(request));
    return true;
  }
}

/** A request for each unit, built and handed over before the next is: all in flight at once, or inline the same one again and again. */
export class PerUnit extends UnitRequests {
  protected send(): void {
    for (let unit = 0, place = 0; unit < unitsPerBio; unit++) {
      const from = monotonic();
      this.build(place, unit);
      if (!this.submit(place, from)) place++;
    }
  }
  protected next(): void {}
}

/** All requests are built first and handed over as one chain, which is run one by one. */
export class Chain extends UnitRequests {
  protected send(): void {
    const from = monotonic();
    for (let unit = 0; unit < unitsPerBio; unit++) this.build(unit, unit);
    this.record.built(from);
    this.next(-1);
  }
  protected next(place: number): void {
    for (let at = place + 1; at < unitsPerBio; at++) if (!this.submit(at, monotonic())) return;
  }
}

/** The bio as it is: cut at the bottom. */
export class WholeBio extends Requests {
  protected readonly pieces = 1;
  protected send(): void {
    const from = monotonic();
    const { work, tfm, ivs, status } = this.reserve;
    const { src, dst } = this.bio;
    for (let unit = 0; unit < unitsPerBio; unit++) this.reserve.putIv(unit, this.bio, unit);
    const batch = tfm.batch({ ...batchFields(work), ivs: work.ivSize ? ivs : null, src, dst, status });
    const done = () => {
      this.record.completed(0, batch);
      this.ended(batch.failure);
    };
    if (batch.submit(done) !== 'done') {
      this.record.handed(0, from);
      return;
    }
    this.record.ran(from, batch.began, batch.ended);
    this.ended(batch.failure);
  }
}

/** node:crypto, unit by unit: what it returns is copied to where the bio wants it. */
export class Directly implements Carrier {
  readonly #reserve: Reserve;
  readonly #iv: Uint8Array;

  constructor(reserve: Reserve) {
    this.#reserve = reserve;
    this.#iv = reserve.ivs.subarray(0, reserve.work.ivSize);
  }
  async carry(bio: UnitsBio, record: BioRecord): Promise<void> {
    const { work } = this.#reserve;
    for (const [unit, { src, dst }] of bio.pages.entries()) {
      const from = monotonic();
      this.#reserve.putIv(0, bio, unit);
      const began = monotonic();
      const result = work.directly(src, this.#iv);
      record.ran(from, began, monotonic());
      dst.set(result);
    }
    record.end = monotonic();
  }
}
