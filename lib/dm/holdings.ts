import type { MemoryUsage } from '../base/mempool.js';
import type { EngineHoldings } from '../crypto/engine/engine.js';

/** A mempool: bytes that lie ready and that are taken, and who waits for an element. */
export interface MempoolHoldings extends MemoryUsage {
  waiting: number;
}

/** What the target of a table line holds for itself. */
export interface TargetHoldings {
  /** As memoryUsage(): bytes of its mempools, and of what it keeps beside them. */
  memory: MemoryUsage;
  /** By their kind. */
  mempools: Record<string, MempoolHoldings>;
  /** What runs its crypto; where `shared`, it is not the target's alone. */
  engine?: EngineHoldings & { shared: boolean };
  /** crypt: encrypted writes that wait for their turn. */
  sortedWrites?: number;
  /** verity: verified hash blocks that are kept. */
  hashBlocks?: number;
  /** verity: bytes of the bits of check_at_most_once. */
  validatedBytes?: number;
  /** delay: bios that are held. */
  delayed?: number;
}

/** What a device below a target holds. */
export interface DeviceHoldings {
  /** Open files and sockets. */
  descriptors: number;
  /** RAM disks: their bytes. */
  bytes?: number;
  /** NBD: requests without an answer, and those that wait for a connection. */
  inFlight?: number;
  waiting?: number;
}

/** A line of a table: what it is, what it says of itself, and what it holds. `dmalg dm status --json` prints these. */
export interface LineReport {
  start: number;
  length: number;
  type: string;
  /** Its status, and its arguments as the table has them: keys are zeroes. */
  params: string;
  table: string;
  holds: TargetHoldings;
  /** What it lies on. The same device may be below several lines. */
  devices: DeviceReport[];
}

/** A device: a file, a RAM disk, an NBD export, or a mapped one, which has lines. Sizes in 512 bytes and in bytes. */
export interface DeviceReport {
  name: string;
  sectors: number;
  blockSize: number;
  holds?: DeviceHoldings;
  mapped?: MappedReport;
}

/** What a mapped device holds. */
export interface MappedReport {
  state: 'live' | 'suspended' | 'closed';
  /** Bios that have not ended, and those that came while it was suspended. */
  inFlight: number;
  deferred: number;
  lines: LineReport[];
}
