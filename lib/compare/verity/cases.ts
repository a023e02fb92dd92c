import type { ProviderName } from '../../crypto/provider/provider.js';
import { formatSize } from '../text/table.js';

/** Work that all arms do in turn. */
export interface VerityCase {
  provider: ProviderName;
  /** lanes: asynchronous. sync: a driver that completes in the caller's thread. */
  engine: 'lanes' | 'sync';
  /** Bytes. */
  bioSize: number;
  /** Bios in flight at once. */
  depth: number;
  /** Not for its rate: with an option of the table line, or for how many requests there is memory beyond a reserve of 1. */
  special?: { option: VerityOption } | { elements: number };
}

export const verityOptions = ['fec', 'ignore_zero_blocks', 'check_at_most_once'] as const;
export type VerityOption = (typeof verityOptions)[number];

/** Of what is not measured for its rate: the less, the sooner it is done where the machine is an emulated one. */
const specialBio = 16384;
const shortBio = 65536;
const longBio = 262144;

/** What Chemla 2018's claim is about. */
const claimCases = (provider: ProviderName): VerityCase[] =>
  (['lanes', 'sync'] as const).map((engine) => ({ provider, engine, bioSize: shortBio, depth: 1 }));

/** What else is measured on a provider. */
const moreCases = (provider: ProviderName, quick: boolean): VerityCase[] => [
  { provider, engine: 'lanes', bioSize: shortBio, depth: 8 },
  ...(quick ? [] : (['lanes', 'sync'] as const).map((engine) => ({ provider, engine, bioSize: longBio, depth: 1 }))),
];

/** Every case, the most telling first: time may be short. The options, and the want of memory, are on the first of the providers. */
export function verityCases(providers: readonly ProviderName[], quick: boolean): VerityCase[] {
  const [first, ...others] = providers;
  const common = { provider: first!, engine: 'lanes', bioSize: specialBio, depth: 8 } as const;
  return [
    ...claimCases(first!),
    ...verityOptions.map((option): VerityCase => ({ ...common, special: { option } })),
    ...[0, 2].map((elements): VerityCase => ({ ...common, special: { elements } })),
    ...others.flatMap(claimCases),
    ...providers.flatMap((provider) => moreCases(provider, quick)),
  ];
}

const optionNames: Record<VerityOption, string> = {
  fec: 'FEC of corrupted blocks',
  ignore_zero_blocks: 'ignore_zero_blocks',
  check_at_most_once: 'check_at_most_once, read twice',
};

export function caseName({ provider, engine, bioSize, depth, special }: VerityCase): string {
  const where = `${provider}, ${engine}, ${formatSize(bioSize)}, depth ${depth}`;
  if (!special) return where;
  if ('option' in special) return `${where}, ${optionNames[special.option]}`;
  return `${where}, reserve 1, ${special.elements === 0 ? 'no memory' : `memory for ${special.elements} requests`}`;
}
