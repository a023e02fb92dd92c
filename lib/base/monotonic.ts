import { performance } from 'node:perf_hooks';

/** What performance.now() begins at, in microseconds: the least of some looks, as the thread may lose the processor in between. */
function originOf(): number {
  let origin = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 16; look++) {
    const now = performance.now();
    origin = Math.min(origin, Number(process.hrtime.bigint()) / 1000 - now * 1000);
  }
  return origin;
}

const origin = originOf();

/** CLOCK_MONOTONIC in microseconds, as native/job.h:monotonic(). It allocates no bigint, as process.hrtime.bigint() does. */
export function monotonic(): number {
  return origin + performance.now() * 1000;
}
