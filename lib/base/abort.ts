import { Readable } from 'node:stream';
import { wrongType } from './bytes.js';

/** What an aborted operation rejects with, as Node's own APIs do: `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
  constructor(cause: unknown) {
    super('The operation was aborted', { cause });
  }
}

/** @throws AbortError when the signal has been given; TypeError when it is none */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (!(signal instanceof AbortSignal)) throw wrongType('signal', 'an AbortSignal', signal);
  if (signal.aborted) throw new AbortError(signal.reason);
}

/**
 * What `source` gives, until the signal is given, also while waiting for it. Ends the source in any case.
 * @throws AbortError
 */
export async function* abortable<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await nextOrAbort(iterator, signal);
      ended = next.done === true;
      if (ended) return;
      yield next.value;
    }
  } finally {
    // A source that is stuck does not answer to return(), so that is not awaited, and a stream is ended otherwise.
    if (!ended && source instanceof Readable) source.destroy();
    else if (!ended) iterator.return?.().catch(() => {});
  }
}

function nextOrAbort<T>(iterator: AsyncIterator<T>, signal: AbortSignal | undefined): Promise<IteratorResult<T>> {
  if (!signal) return iterator.next();
  return new Promise<IteratorResult<T>>((resolve, reject) => {
    checkAborted(signal);
    const abort = () => reject(new AbortError(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
