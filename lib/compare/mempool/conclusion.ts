import { formatMemory } from '../text/table.js';
import type { MemoryResult, Pools, StackResult } from './mempool.js';
import { type StackTarget, stackTargets } from './stack.js';

/** Why nobody gets on: the first wait, and who holds what it is for. */
export function explainDeadlock({ deadlock }: StackResult): string {
  const [first] = deadlock;
  if (!first) return '';
  const { waits, pool, heldBy } = first;
  const level = (name: string) => Number(/\d+$/.exec(name)![0]);
  const above = heldBy.find((name) => level(name) > level(waits)) ?? heldBy[0]!;
  const held =
    heldBy.length === 1
      ? `the only one is held by ${above}, which waits for it`
      : `all ${heldBy.length} are held by bios that wait for such bios, ${above} among them`;
  const more = deadlock.length > 1 ? `; so do ${deadlock.length - 1} more` : '';
  return `${waits} waits for one of the '${pool}': ${held}${more}`;
}

/** What became of the stacks of a kind with shared mempools, in a clause; none where there were no such stacks. */
function concludeShared(target: StackTarget, shared: readonly StackResult[]): string[] {
  const stacks = shared.filter((each) => each.target === target);
  if (stacks.length === 0) return [];
  const stops = stacks.filter(({ deadlock }) => deadlock.length > 0);
  const [first] = stops;
  if (!first) return [`none of ${stacks.length} ${target} stacks deadlocked`];
  const { depth, inFlight, reserve } = first;
  const least = `the least of them ${depth} devices with ${inFlight} in flight and a reserve of ${reserve}`;
  return [`${stops.length} of ${stacks.length} ${target} stacks deadlocked, ${least}`];
}

/** What the measurement says about Patocka 2025's claim, in a sentence. `complete`: every stack was tried. */
export function concludeMempool(
  stacks: readonly StackResult[],
  memory: readonly MemoryResult[],
  complete: boolean,
): string {
  const of = (pools: Pools) => stacks.filter((each) => each.pools === pools);
  const stops = (results: StackResult[]) => results.filter(({ deadlock }) => deadlock.length > 0);
  const [own, shared] = [of('per device'), of('shared')];
  if (own.length === 0 || shared.length === 0) return 'too little was run to say anything about Patocka 2025.';
  const [ownStops, sharedStops] = [stops(own), stops(shared)];
  const said = [
    `with mempools of their own ${own.length - ownStops.length} of ${own.length} stacks got on without memory`,
  ];
  const kinds = stackTargets.flatMap((target) => concludeShared(target, shared));
  said.push(`with shared ones ${kinds.join(', and ')}`);
  const bytes = (pools: Pools, reserve: number) =>
    memory.find((each) => each.pools === pools && each.reserve === reserve)?.bytes;
  const [sixteen, one, oneShared] = [bytes('per device', 16), bytes('per device', 1), bytes('shared', 16)];
  if (sixteen !== undefined && one !== undefined && oneShared !== undefined)
    said.push(
      `over ${memory[0]!.devices} verity devices sharing saves ${formatMemory(sixteen - oneShared)} of ${formatMemory(sixteen)}, a reserve of 1 ${formatMemory(sixteen - one)}`,
    );
  const agrees = ownStops.length === 0 && sharedStops.length > 0;
  // Where nothing stopped, what was not tried might.
  if (sharedStops.length === 0 && !complete) return `${said.join('; ')}: too few to judge Patocka 2025's objection by.`;
  return `${said.join('; ')}: Patocka 2025's objection ${agrees ? 'holds' : 'is not borne out'}.`;
}
