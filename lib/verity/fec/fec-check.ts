import { checkAborted } from '../../base/abort.js';
import { OpenFiles } from '../open-files.js';
import { FecImage } from './fec-image.js';
import { type FecImageOptions, openFecImage } from './open-fec-image.js';
import { ParityEncoder } from './parity-encoder.js';
import { ReedSolomon } from './reed-solomon.js';

/** How much of an image FEC could mend, knowing nothing but the parity. */
export interface FecReport {
  /** Bytes that would be corrected, those of the parity included: what veritysetup calls repairable errors. */
  repairable: number;
  /** Sets of blocks with errors, and those of them with more than the code can correct. */
  wrong: number;
  beyond: number;
  /** The first of those: veritysetup's RS block. */
  firstBeyond: number | undefined;
}

/** Checks the FEC area of an image, which need not have a good block. @throws VerityError in veritysetup's words, AlgError, AbortError */
export async function checkVerityFec(
  dataPath: string,
  hashPath: string,
  options: FecImageOptions & { signal?: AbortSignal },
): Promise<FecReport> {
  await using files = new OpenFiles();
  const { tree, layout, area, sources } = await openFecImage(files, dataPath, hashPath, options, 'r');
  try {
    const code = new ReedSolomon(layout.roots, options.engine);
    return await checkFec(new FecImage(tree, layout, sources, area.offset), code, options.signal);
  } finally {
    tree.hasher.close();
  }
}

/**
 * Checks the FEC area against all that it covers, as `veritysetup verify` does with an image that is bad; and also with one that is good, whose parity may not be.
 * Sets that are as they should be are found by computing their parity again. @throws AbortError, the system's error
 */
async function checkFec(image: FecImage, code: ReedSolomon, signal?: AbortSignal): Promise<FecReport> {
  const { setParity } = image.layout;
  const report: FecReport = { repairable: 0, wrong: 0, beyond: 0, firstBeyond: undefined };
  let stored = Buffer.alloc(0);
  using encoder = new ParityEncoder(image.layout, code);
  await encoder.encode({
    read: (position, into) => image.read(position, into),
    take: async (position, parity) => {
      checkAborted(signal);
      if (stored.length < parity.length) stored = Buffer.allocUnsafeSlow(parity.length);
      const held = stored.subarray(0, parity.length);
      await image.readParity(position, held);
      if (held.equals(parity)) return;
      for (let at = 0; at < parity.length; at += setParity) {
        const there = held.subarray(at, at + setParity);
        if (!there.equals(parity.subarray(at, at + setParity)))
          await checkSet(image, code, (position + at) / setParity, there, report);
      }
    },
  });
  return report;
}

async function checkSet(image: FecImage, code: ReedSolomon, set: number, parity: Buffer, report: FecReport) {
  const { layout } = image;
  const { blockSize, setSize } = layout;
  const rows = layout.rowsOf(set);
  const message = Buffer.alloc(setSize * blockSize);
  await Promise.all(
    Array.from({ length: rows }, (_, row) =>
      image.read(layout.block(set, row) * blockSize, message.subarray(row * blockSize, (row + 1) * blockSize)),
    ),
  );
  const { status, failed } = await code.decode(message, parity, rows, []);
  report.wrong++;
  for (const corrected of status) if (corrected > 0) report.repairable += corrected;
  if (failed === 0) return;
  report.beyond++;
  report.firstBeyond ??= set;
}
