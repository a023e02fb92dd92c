import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { sectorSize } from '../../dm/bio.js';
import { openTable } from '../../dm/open-table.js';
import { leastRounds, type Measurement } from '../measure/experiment.js';
import { type Group, groupOf } from '../measure/group.js';
import { cryptLine, loadName, requestBytes, type WorkqueueLoad, workqueueArms, workqueuePairs } from './arms.js';
import { type DiskImage, diskBlocks, diskBytes, sameBlock } from './disk.js';
import { measureByFio } from './fio.js';

/** What groups of the kernel's dm-crypt are called, behind the load. */
export const fioSuffix = "the kernel's dm-crypt, by fio";
export const kernelGroup = (load: WorkqueueLoad): string => `${loadName(load)}, ${fioSuffix}`;

const sectors = diskBytes / sectorSize;
/** Under dm-crypt; and alone. */
const [below, alone] = ['/dev/ram0', '/dev/ram1'];
const deviceOf = (arm: string) => `dmalg-compare-${arm}`;
const cryptArms = workqueueArms.filter(({ options }) => options !== undefined);
const fioArms = workqueueArms.map(({ name, options }) => ({
  name,
  path: options === undefined ? alone : `/dev/mapper/${deviceOf(name)}`,
}));
const pattern = '646d616c672d66696f00ff55aa010203';

const run = (command: string, args: string[]) =>
  void execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
const dmsetup = (...args: string[]) => run('dmsetup', [...args, '--noudevsync']);

/** Why the kernel's dm-crypt is not measured, if so. It makes devices, so it is left to the lab. */
export function whyNoKernelCrypt(): string | undefined {
  if (!process.env['DMALG_LAB']) return "the kernel's dm-crypt is measured in the lab only: add --in-lab";
  for (const tool of ['modprobe', 'dmsetup', 'fio'])
    if (spawnSync(tool, ['--version']).error) return `there is no ${tool}`;
  try {
    run('modprobe', ['brd', 'rd_nr=2', `rd_size=${diskBytes / 1024}`]);
    run('modprobe', ['dm-crypt']);
  } catch (error) {
    return (error as Error).message.trim();
  }
  return existsSync(below) && existsSync(alone) ? undefined : `there is no ${below}`;
}

/** The kernel's dm-crypt on a RAM disk, with the same lines as ours, driven by fio, in rounds of which none begins after so many seconds. @throws Error */
export async function measureKernelCrypt(load: WorkqueueLoad, image: DiskImage, seconds: number): Promise<Group> {
  for (const path of [below, alone]) await writeDisk(path, image.below);
  const made: string[] = [];
  try {
    for (const arm of cryptArms) {
      dmsetup('create', deviceOf(arm.name), '--table', cryptLine(arm, load.cipher, sectors, below));
      made.push(deviceOf(arm.name));
    }
    dmsetup('mknodes');
    const plan = { ...load, bytes: requestBytes, pattern, rounds: leastRounds, seconds, milliseconds: 60 };
    const measurements = measureByFio(fioArms, plan);
    const ours = await readDisk(cryptLine(cryptArms[0]!, load.cipher, sectors, below));
    for (const each of measurements) await check(each, load, image, ours);
    return groupOf(kernelGroup(load), measurements, requestBytes, workqueuePairs);
  } finally {
    for (const name of made) dmsetup('remove', '--retry', name);
  }
}

/**
 * fio does not look at what it gets, so the whole disk is read once more through the arm's device: each block is as it was, or what fio has written.
 * And our own crypt, on the library's crypto, finds the same below: `ours`, the same for all arms, as they have one disk.
 */
async function check(measurement: Measurement, load: WorkqueueLoad, image: DiskImage, ours: Buffer): Promise<void> {
  const { path } = fioArms.find((arm) => arm.name === measurement.arm)!;
  const enciphers = path !== alone;
  const got = await readDisk(`0 ${sectors} linear ${path} 0`);
  const before = enciphers ? image.plain : image.below;
  const written = Buffer.alloc(requestBytes, Buffer.from(pattern, 'hex'));
  let wrong = 0;
  for (let block = 0; block < diskBlocks; block++) {
    const bytes = got.subarray(block * requestBytes, (block + 1) * requestBytes);
    const known = sameBlock(block, got, before) || (load.op === 'write' && bytes.equals(written));
    if (!known || (enciphers && !sameBlock(block, got, ours))) wrong++;
  }
  measurement.outcome.wrong = wrong;
  measurement.checked = diskBlocks;
}

/** Past the page cache: each of the devices above a disk would have one of its own. */
async function readDisk(line: string): Promise<Buffer> {
  const device = await openTable(line, { readOnly: true, direct: true, provider: 'library' });
  try {
    return (await device.read(0, Buffer.alloc(diskBytes))) as Buffer;
  } finally {
    await device.close();
  }
}

async function writeDisk(path: string, bytes: Buffer): Promise<void> {
  const device = await openTable(`0 ${sectors} linear ${path} 0`, { direct: true });
  try {
    await device.write(0, bytes);
    await device.flush();
  } finally {
    await device.close();
  }
}
