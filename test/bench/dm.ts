/** The figures of lib/dm against the guest's kernel, as ratios in one run: `make bench` runs this in the lab. */
import { execFileSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { openLanes, openTable } from '../../lib/index.js';
import { pair } from './pair.js';

const loop = fileURLToPath(new URL('syscall-loop', import.meta.url));

/** A bio of 1 MiB on lanes against a C loop that makes the same system calls for its sectors on one thread. */
async function bioOnLanes(cipher: string, name: string, keySize: number): Promise<void> {
  const [size, sectorSize, lanes] = [1 << 20, 4096, 2];
  const engine = openLanes(lanes);
  const key = Uint8Array.from({ length: keySize }, (_, index) => index);
  const convert = new CryptConvert({ cipher, key, sectorSize, provider: 'kernel' });
  const bytes = new Uint8Array(size);
  const bios = 8;
  const sectors = (bios * size) / sectorSize;
  const ours = async () => {
    const start = performance.now();
    for (let i = 0; i < bios; i++) await convert.convert('encrypt', i * 2048, bytes, bytes, engine);
    return ((performance.now() - start) * 1000) / sectors;
  };
  for (let i = 0; i < 8; i++) await ours();
  const peer = async () => Number(execFileSync(loop, [name, `${sectorSize}`, `${sectors}`], { encoding: 'utf8' }));
  await pair(`${cipher}, bios of 1 MiB, ${lanes} lanes, a sector of 4 KiB, against a C loop on one thread`, ours, peer);
  convert.close();
  engine.close();
}

const depth = 32;
const diskBytes = 64 << 20;

/** Microseconds of each of `total` random reads of 4 KiB, `depth` in flight. */
async function randomReads(device: Awaited<ReturnType<typeof openTable>>, total: number): Promise<number> {
  let left = total;
  const reader = async () => {
    const into = new Uint8Array(4096);
    while (left-- > 0) await device.read(Math.floor(Math.random() * (diskBytes / 4096)) * 4096, into);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: depth }, reader));
  return ((performance.now() - start) * 1000) / total;
}

/** Reads until the rate stands: code that is not compiled yet is many times slower, and in an emulated machine for seconds. */
async function warmUp(device: Awaited<ReturnType<typeof openTable>>): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  for (let worse = 0; worse < 2; ) {
    const each = await randomReads(device, 2000);
    worse = each < best * 0.95 ? 0 : worse + 1;
    best = Math.min(best, each);
  }
}

function fio(path: string): number {
  const args = ['--name=peer', `--filename=${path}`, '--rw=randread', '--bs=4k', '--direct=1', '--ioengine=libaio'];
  args.push(`--iodepth=${depth}`, '--thread', '--time_based', '--runtime=3', '--output-format=json');
  const { jobs } = JSON.parse(execFileSync('fio', args, { encoding: 'utf8' }));
  return 1e6 / jobs[0].read.iops;
}

/** Random reads from a crypt device on RAM against the guest kernel's dm-crypt on a RAM disk, driven by fio. */
async function readsAgainstKernel(cipher: string, key: string): Promise<void> {
  const sectors = diskBytes / 512;
  const line = (device: string, options = '') => `0 ${sectors} crypt ${cipher} ${key} 0 ${device} 0${options}`;
  execFileSync('dmsetup', ['create', '--noudevsync', 'peer', '--table', line('/dev/ram0')]);
  execFileSync('dmsetup', ['mknodes', '--noudevsync', 'peer']);
  try {
    for (const provider of ['library', 'kernel'] as const)
      for (const options of ['', ' 1 no_read_workqueue']) {
        const device = await openTable(line(`ram:${diskBytes}`, options), { provider });
        const what = `${cipher}${options}, ${provider}, random reads of 4 KiB, ${depth} in flight, against the kernel's dm-crypt by fio`;
        await warmUp(device);
        await pair(
          what,
          () => randomReads(device, 4000),
          async () => fio('/dev/mapper/peer'),
          3,
        );
        await device.close();
      }
  } finally {
    execFileSync('dmsetup', ['remove', '--noudevsync', '--retry', 'peer']);
  }
}

const hex = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, index) => index)).toString('hex');
await bioOnLanes('aes-xts-plain64', 'xts(aes)', 32);
await bioOnLanes('aes-cbc-plain64', 'cbc(aes)', 32);
execFileSync('modprobe', ['brd', 'rd_nr=1', `rd_size=${diskBytes / 1024}`]);
execFileSync('modprobe', ['dm-crypt']);
await readsAgainstKernel('aes-xts-plain64', hex(64));
await readsAgainstKernel('capi:ecb(cipher_null)', '-');
