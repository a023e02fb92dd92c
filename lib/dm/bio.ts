/** Bytes of a sector: the unit of table lines and bios, whatever a target's own sector size is. */
export const sectorSize = 512;

export type BioOp = 'read' | 'write' | 'flush' | 'discard';

/** Sectors of a bio, counted from the bio's first one, so that remapping the bio leaves them true. */
export interface FailedRange {
  first: number;
  count: number;
}

/** Why a bio failed: the name of the errno of its `blk_status_t` ('EIO', 'EILSEQ', 'EOPNOTSUPP', ...), and where. */
export interface BioError {
  code: string;
  failed: FailedRange[];
  /** What is known beside: the error of the system call, of the cipher, of the target. */
  cause?: unknown;
}

/** How a bio ended: null is success; a code alone stands for all of the bio's sectors. */
export type BioResult = BioError | string | null;

export interface BioFields {
  op: BioOp;
  /** The first sector, counted from the start of what takes the bio: the target in `map`, the device in `submit`. */
  sector: number;
  /** What is read into or written from: whole sectors. Empty for flush and discard. */
  bytes?: Uint8Array;
  /** Of a discard, where there are no bytes to tell it. */
  sectors?: number;
  /** A write that is to be on stable storage when it ends (REQ_FUA). */
  fua?: boolean;
}

const noBytes = new Uint8Array(0);

/**
 * One I/O request on its way down (struct bio). Who takes it owns it until `end`: he may change `sector` and pass it on, but not the bytes of a
 * write, which stay the submitter's. It ends exactly once.
 */
export class Bio {
  readonly op: BioOp;
  sector: number;
  readonly bytes: Uint8Array;
  readonly sectors: number;
  readonly fua: boolean;
  #endio: ((error: BioError | null, bio: Bio) => void) | undefined;

  constructor(fields: BioFields, endio: (error: BioError | null, bio: Bio) => void) {
    this.op = fields.op;
    this.sector = fields.sector;
    this.bytes = fields.bytes ?? noBytes;
    this.sectors = fields.sectors ?? this.bytes.length / sectorSize;
    this.fua = fields.fua ?? false;
    this.#endio = endio;
  }

  get ended(): boolean {
    return this.#endio === undefined;
  }

  /** Ends the bio (bio_endio). @throws Error the second time: that is a bug of the target, never of its user. */
  end(result: BioResult = null): void {
    const endio = this.#endio;
    if (!endio) throw new Error(`bio ended twice: ${this.op} of ${this.sectors} sectors at ${this.sector}`);
    this.#endio = undefined;
    endio(typeof result === 'string' ? { code: result, failed: [{ first: 0, count: this.sectors }] } : result, this);
  }
}
