import { VerityError } from './error.js';

/** A root hash as bytes, or as hex digits. */
export type RootHash = Uint8Array | string;

/** The bytes of a root hash. @throws VerityError in veritysetup's words: it has another size, or is no hex */
export function rootHashBytes(
  rootHash: RootHash,
  { hash, digestSize }: { hash: string; digestSize: number },
): Uint8Array {
  const bytes = typeof rootHash === 'string' ? parseRootHash(rootHash) : rootHash;
  if (bytes.length !== digestSize)
    throw invalid(`expected ${2 * digestSize} hex digits, as ${hash} has, got ${2 * bytes.length}`);
  return bytes;
}

/** Hex digits, upper or lower case. @throws VerityError */
export function parseRootHash(text: string): Buffer {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw invalid('expected hex digits, two for each byte');
  return Buffer.from(text, 'hex');
}

function invalid(detail: string): VerityError {
  return new VerityError('Invalid root hash string specified.', 'EINVAL', detail);
}
