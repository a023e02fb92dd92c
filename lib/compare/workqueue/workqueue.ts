import { binding } from '../../base/binding.js';
import type { ProviderName } from '../../crypto/provider/provider.js';
import { sectorSize } from '../../dm/bio.js';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { RamDevice } from '../../dm/ram-device.js';
import { describeEnvironment } from '../measure/environment.js';
import { measure } from '../measure/experiment.js';
import { type Group, type GroupsReport, groupsLeftOut, type LeftOut, measureGroup } from '../measure/group.js';
import { median } from '../measure/statistics.js';
import { TimeBudget } from '../measure/time-budget.js';
import { method } from '../measure/verdict.js';
import { formatGroup, formatRest } from '../text/group-table.js';
import type { Watch } from '../watch.js';
import {
  aesCipher,
  cryptLine,
  loadName,
  loads,
  nullCipher,
  type WorkqueueLoad,
  workqueueArms,
  workqueuePairs,
  workqueuePublished,
} from './arms.js';
import { concludeWorkqueue } from './conclusion.js';
import { type DiskImage, diskBytes, diskImage } from './disk.js';
import { fioSuffix, kernelGroup, measureKernelCrypt, whyNoKernelCrypt } from './kernel.js';
import { WorkqueueTrial, WorkqueueWork } from './trial.js';

const warmUps = 1;
/** Seconds that a group of ours may take, and one of the kernel's: to begin a run takes fio a second, whatever the run takes. */
const groupSeconds = { quick: { ours: 5, kernels: 15 }, full: { ours: 8, kernels: 25 } };
/** Seconds of a run: short, so that a machine which is stopped now and then by what it runs on spoils few of the many. */
const runSeconds = 0.015;
const mostRounds = 100;

/** Korchagin 2020's question: do the work queues of dm-crypt cost more than they give? */
export async function compareWorkqueue({ quick }: { quick: boolean }, watch: Watch = {}): Promise<GroupsReport> {
  const environment = await describeEnvironment([]);
  watch.described?.(environment);
  const list = loads(quick ? [nullCipher] : [nullCipher, aesCipher]);
  const omitted: LeftOut[] = [];
  const reason = whyNoKernelCrypt();
  if (reason !== undefined) omitted.push({ arm: fioSuffix, reason });
  const isForKernel = ({ order, cipher }: WorkqueueLoad) =>
    reason === undefined && (order === 'sequential' || (cipher === nullCipher && !quick));
  const provider = binding().af_alg_probe() >= 0 ? 'kernel' : 'library';
  const { ours, kernels } = groupSeconds[quick ? 'quick' : 'full'];
  const works = list.flatMap((load) => [
    { load, name: `${loadName(load)}, ${provider}'s crypto`, seconds: ours },
    ...(isForKernel(load) ? [{ load, name: kernelGroup(load), seconds: kernels }] : []),
  ]);
  watch.planned?.(works.length);
  const groups: Group[] = [];
  const images = new Map<string, [DiskImage, DiskImage]>();
  const most = works.reduce((sum, { seconds }) => sum + seconds, 0);
  const budget = new TimeBudget(Math.min(most, watch.seconds ?? most), most);
  for (const { load, name, seconds } of works) {
    if (watch.signal?.aborted) break;
    const pair = images.get(load.cipher) ?? [diskImage(load.cipher, 2), diskImage(load.cipher, 3)];
    images.set(load.cipher, pair);
    const limits = { seconds: budget.next(seconds), signal: watch.signal };
    const group =
      name === kernelGroup(load)
        ? await measureKernelCrypt(load, pair[0], limits.seconds)
        : await measureOurs({ name, load, provider }, pair, limits);
    watch.ran?.(1, name);
    if (!group) break;
    groups.push(group);
    watch.print?.(formatGroup(group));
  }
  const report: GroupsReport = {
    version: 1,
    experiment: 'workqueue',
    environment,
    method: { ...method, warmUps, quick },
    groups,
    omitted: [
      ...omitted,
      ...groupsLeftOut(
        works.map(({ name }) => name),
        groups,
      ),
    ],
    // The kernel's own arms are the nearest to the document's.
    published: workqueuePublished((load) => groups.filter(({ name }) => name.startsWith(load)).at(-1)?.name),
    conclusions: concludeWorkqueue(groups),
  };
  watch.print?.(formatRest(report));
  return report;
}

interface Limits {
  seconds: number;
  signal: Watch['signal'];
}

/** Our target on a RAM device, with the kernel's crypto where it is there. */
async function measureOurs(
  { name, load, provider }: { name: string; load: WorkqueueLoad; provider: ProviderName },
  [before, after]: [DiskImage, DiskImage],
  { seconds, signal }: Limits,
): Promise<Group | undefined> {
  const ram = new RamDevice(diskBytes);
  const opened: Device[] = [];
  try {
    for (const arm of workqueueArms.filter(({ options }) => options !== undefined))
      opened.push(
        await openTable(cryptLine(arm, load.cipher, diskBytes / sectorSize, 'ram'), { provider, devices: { ram } }),
      );
    const trialsOf = (requests: number) => {
      const work = new WorkqueueWork(load, before, after, requests);
      return workqueueArms.map(({ name }, index) => new WorkqueueTrial(name, ram, opened[index] ?? ram, work));
    };
    // The default arm says how many requests a run is to have.
    const [sample] = await measure(trialsOf(sampleRequests).slice(0, 1), {
      repetitions: 7,
      warmUps: 2,
      seconds: seconds / 8,
      signal,
    });
    const rate = sample ? sampleRequests / median(sample.seconds) : 0;
    const requests = Math.min(mostRequests, Math.max(sampleRequests, Math.ceil((rate * runSeconds) / 32) * 32));
    return await measureGroup(name, trialsOf(requests), workqueuePairs, {
      repetitions: mostRounds,
      warmUps,
      seconds,
      signal,
    });
  } finally {
    for (const device of opened) await device.close();
  }
}

const sampleRequests = 32;
const mostRequests = 8192;
