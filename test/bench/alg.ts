/**
 * The figures of lib/alg, as ratios against a peer in one run: `make bench` runs this in the lab.
 * Each pair alternates, and the ratio is the median of the pairs' ratios.
 */
import { execFileSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type Request, Tfm } from '../../lib/index.js';
import { pair } from './pair.js';

const loop = fileURLToPath(new URL('syscall-loop', import.meta.url));

function fill(request: Request, size: number): Request {
  return Object.assign(request, {
    iv: new Uint8Array(16).fill(1),
    src: new Uint8Array(size),
    dst: new Uint8Array(size),
  });
}

const key = new Uint8Array(32).fill(7);

async function oneAtATime(driver: string, size: number, count: number): Promise<void> {
  const tfm = new Tfm('skcipher', driver, { key, provider: 'kernel', engine: 'sync' });
  const request = fill(tfm.request(), size);
  for (let i = 0; i < 3 * count; i++) request.runSync();
  const ours = async () => {
    const start = performance.now();
    for (let i = 0; i < count; i++) request.runSync();
    return ((performance.now() - start) * 1000) / count;
  };
  const peer = async () => Number(execFileSync(loop, [driver, `${size}`, `${count}`], { encoding: 'utf8' }));
  await pair(`${driver}, ${size} bytes, one at a time, sync engine, against the same calls in a C loop`, ours, peer);
  tfm.close();
}

/** Runs `total` requests, as many in flight as there are requests. Resolves with microseconds a request. */
function stream(requests: Request[], total: number): Promise<number> {
  const start = performance.now();
  return new Promise((resolve) => {
    let started = 0;
    let left = total;
    const next = (request: Request) => {
      if (started++ >= total) return;
      request.submit(() => {
        next(request);
        if (--left === 0) resolve(((performance.now() - start) * 1000) / total);
      });
    };
    for (const request of requests) next(request);
  });
}

async function inFlight(driver: string, size: number, depth: number, total: number): Promise<void> {
  const tfm = new Tfm('skcipher', driver, { key, provider: 'kernel', engine: 'aio' });
  const requests = Array.from({ length: depth }, () => fill(tfm.request(), size));
  const ours = () => stream(requests, total);
  const peer = () => stream(requests.slice(0, 1), total);
  await pair(`${driver}, ${depth} x ${size} bytes in flight, AIO, against one after the other`, ours, peer);
  const asynchronous = requests.filter((request) => request.asynchronous).length;
  process.stdout.write(`  (${asynchronous} of the last ${depth} completed after io_submit)\n`);
  tfm.close();
}

await oneAtATime('cbc(aes)', 4096, 2000);
await oneAtATime('cbc(aes)', 512, 2000);
await inFlight('virtio_crypto_aes_cbc', 65536, 16, 160);
await inFlight('virtio_crypto_aes_cbc', 4096, 16, 480);
