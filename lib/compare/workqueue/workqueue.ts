import { binding } from '../../binding.js';
import { sectorSize } from '../../dm/bio.js';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { RamDevice } from '../../dm/ram-device.js';
import { describeEnvironment } from '../measure/environment.js';
import { measure } from '../measure/experiment.js';
import { type Group, type GroupsReport, type LeftOut, measureGroup } from '../measure/group.js';
import { median } from '../measure/statistics.js';
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
import { fioSuffix, measureKernelCrypt, whyNoKernelCrypt } from './kernel.js';
import { WorkqueueTrial, WorkqueueWork } from './trial.js';

const warmUps = 1;
/** Seconds that our side may take, and the kernel's: to begin a run takes fio a second, whatever the run takes. */
const budget = { quick: { ours: 20, kernels: 30 }, full: { ours: 60, kernels: 150 } };
/** Seconds of a run: short, so that a machine which is stopped now and then by what it runs on spoils few of the many. */
const runSeconds = 0.015;
const mostRounds = 100;

/** Document 2's question: do the work queues of dm-crypt cost more than they give? */
export async function compareWorkqueue({ quick }: { quick: boolean }, watch: Watch = {}): Promise<GroupsReport> {
  const environment = await describeEnvironment([]);
  watch.described?.(environment);
  const list = loads(quick ? [nullCipher] : [nullCipher, aesCipher]);
  const omitted: LeftOut[] = [];
  const reason = whyNoKernelCrypt();
  if (reason !== undefined) omitted.push({ arm: fioSuffix, reason });
  const isForKernel = ({ order, cipher }: WorkqueueLoad) =>
    reason === undefined && (order === 'sequential' || (cipher === nullCipher && !quick));
  const forKernel = list.filter(isForKernel);
  watch.planned?.(list.length + forKernel.length);
  const groups: Group[] = [];
  const add = (group: Group | undefined, where: string) => {
    watch.ran?.(1, where);
    if (!group) return;
    groups.push(group);
    watch.print?.(formatGroup(group));
  };
  const images = new Map<string, [DiskImage, DiskImage]>();
  const { ours, kernels } = budget[quick ? 'quick' : 'full'];
  for (const load of list) {
    if (watch.signal?.aborted) break;
    const pair = images.get(load.cipher) ?? [diskImage(load.cipher, 2), diskImage(load.cipher, 3)];
    images.set(load.cipher, pair);
    const limits = { seconds: ours / list.length, signal: watch.signal };
    add(await measureOurs(load, pair, limits), loadName(load));
    if (forKernel.includes(load) && !watch.signal?.aborted)
      add(await measureKernelCrypt(load, pair[0], kernels / forKernel.length), fioSuffix);
  }
  const report: GroupsReport = {
    version: 1,
    experiment: 'workqueue',
    environment,
    method: { ...method, warmUps, quick },
    groups,
    omitted,
    // The kernel's own arms are the nearest to the document's.
    published: workqueuePublished((load) => groups.filter(({ name }) => name.startsWith(load)).at(-1)?.name),
    conclusions: concludeWorkqueue(groups),
  };
  watch.print?.(formatRest(report));
  return report;
}

interface Limits {
  seconds: number;
  signal: AbortSignal | undefined;
}

/** Our target on a RAM device, with the kernel's crypto where it is there. */
async function measureOurs(
  load: WorkqueueLoad,
  [before, after]: [DiskImage, DiskImage],
  { seconds, signal }: Limits,
): Promise<Group | undefined> {
  const provider = binding().af_alg_probe() >= 0 ? 'kernel' : 'library';
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
    const [sample] = await measure(trialsOf(sampleRequests).slice(0, 1), { repetitions: 7, warmUps: 2, signal });
    const rate = sample ? sampleRequests / median(sample.seconds) : 0;
    const requests = Math.min(mostRequests, Math.max(sampleRequests, Math.ceil((rate * runSeconds) / 32) * 32));
    return await measureGroup(`${loadName(load)}, ${provider}'s crypto`, trialsOf(requests), workqueuePairs, {
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
