import type { OnProgress } from '../../verity/block-runs.js';
import type { Invocation } from '../command.js';
import { Progress } from '../progress.js';
import { untilStopped } from '../stop-signals.js';

/** Runs it with a line on the terminal that shows how far it is, until it is done or a signal ends it. */
export async function withProgress<T>(
  { values }: Invocation,
  run: (options: { onProgress: OnProgress; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined;
  let shown = 0;
  const onProgress: OnProgress = (done, total) => {
    progress ??= new Progress(total, values.quiet === true);
    progress.advance(done - shown);
    shown = done;
  };
  try {
    return await untilStopped((signal) => run({ onProgress, signal }));
  } finally {
    progress?.end();
  }
}
