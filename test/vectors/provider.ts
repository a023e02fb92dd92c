import { AlgError, Tfm } from '../../lib/index.js';
import type { Provider } from './check.js';

/** DMALG_TEST_PROVIDER=kernel runs the same files on AF_ALG. */
export const provider = (process.env.DMALG_TEST_PROVIDER ?? 'library') as Provider;
/**
 * The library checks every vector. The kernel runs in an emulated machine that is 10 to 20 times slower, so there it is at
 * most so many of a file, in regular steps from the first one on.
 */
const mostPerFile = provider === 'kernel' ? 12 : Number.POSITIVE_INFINITY;

export function sample<T>(all: T[]): T[] {
  const step = Math.ceil(all.length / mostPerFile) || 1;
  return all.filter((_, index) => index % step === 0);
}

/** Skips the test, saying why, where the provider does not offer the algorithm at all. */
export function requireAlgorithm(context: Mocha.Context, type: 'hash' | 'skcipher' | 'aead', name: string): void {
  try {
    new Tfm(type, name, { provider }).close();
  } catch (error) {
    // A cipher of the library wants its key at once; a RangeError for its size is as good as a yes.
    if (!(error instanceof AlgError) || error.code !== 'ENOENT') return;
    skip(context, `the ${provider} does not offer ${name}`);
  }
}

export function skip(context: Mocha.Context, why: string): never {
  context.test!.title += ` (skipped: ${why})`;
  context.skip();
}
