import type { PublishedFigure } from '../measure/group.js';
import type { Pairs } from '../measure/verdict.js';

/** A way to use the queues of dm-crypt. */
export interface WorkqueueArm {
  name: string;
  /** Optional arguments of the crypt line; undefined: no crypt at all, the RAM below. */
  options: string | undefined;
}

const flag = (name: string): WorkqueueArm => ({ name, options: ` 1 ${name}` });

/** By default writes go below in the order of their sectors; with no_write_workqueue, and submit_from_crypt_cpus, as they come. */
export const workqueueArms: readonly WorkqueueArm[] = [
  { name: 'default', options: '' },
  flag('no_read_workqueue'),
  flag('no_write_workqueue'),
  flag('same_cpu_crypt'),
  flag('submit_from_crypt_cpus'),
  { name: 'RAM alone', options: undefined },
];

export const workqueuePairs: Pairs = workqueueArms
  .filter(({ options }) => options)
  .map(({ name }) => [name, 'default'] as const);

/** Bytes of a request, as in Korchagin 2020. */
export const requestBytes = 4096;

export interface WorkqueueLoad {
  op: 'read' | 'write';
  /** One after the other from the start of the device, as in Korchagin 2020; 'random': anywhere, so that sorting means something. */
  order: 'sequential' | 'random';
  depth: number;
  cipher: string;
}

/** Korchagin 2020's own first. */
export const loads = (ciphers: readonly string[]): WorkqueueLoad[] =>
  ciphers.flatMap((cipher) =>
    [
      { order: 'sequential' as const, depth: 1 },
      { order: 'random' as const, depth: 32 },
    ].flatMap((how) => (['read', 'write'] as const).map((op) => ({ op, ...how, cipher }))),
  );

export const nullCipher = 'capi:ecb(cipher_null)';
export const aesCipher = 'aes-xts-plain64';

/** What is measured: 'read, sequential, depth 1, aes-xts-plain64'. */
export const loadName = ({ op, order, depth, cipher }: WorkqueueLoad): string =>
  `${op}, ${order}, depth ${depth}, ${cipher}`;

/** As a table line has it. The cipher has none of its own or 64 bytes. */
export const keyOf = (cipher: string): string =>
  cipher === nullCipher ? '-' : Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString('hex');

/** The crypt line of an arm: Korchagin 2020's, on another device. */
export function cryptLine(arm: WorkqueueArm, cipher: string, sectors: number, device: string): string {
  return `0 ${sectors} crypt ${cipher} ${keyOf(cipher)} 0 ${device} 0${arm.options}`;
}

const source =
  'Korchagin 2020: I. Korchagin on dm-devel, 2020-06, a RAM disk in a virtual machine, the null cipher, fio';

/** Korchagin 2020's figures, in MiB/s. */
const publishedRates: Record<WorkqueueLoad['op'], Record<string, number>> = {
  read: { default: 80.6, no_read_workqueue: 295, no_write_workqueue: 114, 'RAM alone': 508 },
  write: { default: 40.4, no_read_workqueue: 38.9, no_write_workqueue: 277, 'RAM alone': 516 },
};

export const publishedRate = (op: WorkqueueLoad['op'], arm: string): number => publishedRates[op][arm]!;

/** The load of Korchagin 2020. */
export const publishedLoad = (op: WorkqueueLoad['op']): WorkqueueLoad => ({
  op,
  order: 'sequential',
  depth: 1,
  cipher: nullCipher,
});

/** `groupOf`: the name of the group that has the arms which are the figures' like. */
export function workqueuePublished(groupOf: (load: string) => string | undefined): PublishedFigure[] {
  return (['read', 'write'] as const).flatMap((op) => {
    const group = groupOf(loadName(publishedLoad(op)));
    return Object.entries(publishedRates[op]).map(([arm, value]) => ({
      what: `${op}, ${arm}`,
      value,
      unit: 'MiB/s',
      ...(group !== undefined && { group }),
      arm,
      source,
    }));
  });
}
