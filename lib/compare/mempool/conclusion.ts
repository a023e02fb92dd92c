import { formatMemory } from '../text/table.js';
import type { MemoryResult, Pools, StackResult } from './mempool.js';

/** Why nobody gets on: the first wait, and who holds what it is for. */
export function explainDeadlock({ depth, deadlock }: StackResult): string {
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
  return `${waits} (of ${depth}) waits for one of the '${pool}': ${held}${more}`;
}

/** What the measurement says about document 5's claim, in a sentence. */
export function concludeMempool(stacks: readonly StackResult[], memory: readonly MemoryResult[]): string {
  const of = (pools: Pools) => stacks.filter((each) => each.pools === pools);
  const stops = (results: StackResult[]) => results.filter(({ deadlock }) => deadlock.length > 0);
  const [own, shared] = [of('per device'), of('shared')];
  if (own.length === 0 || shared.length === 0) return 'too little was run to say anything about document 5.';
  const [ownStops, sharedStops] = [stops(own), stops(shared)];
  const said = [
    `with mempools of their own ${own.length - ownStops.length} of ${own.length} stacks got on without memory`,
  ];
  const [first] = sharedStops;
  if (first)
    said.push(
      `with shared ones ${sharedStops.length} of ${shared.length} deadlocked, the least of them ${first.depth} devices with ${first.inFlight} in flight and a reserve of ${first.reserve}`,
    );
  else said.push(`with shared ones none of ${shared.length} deadlocked`);
  const bytes = (pools: Pools, reserve: number) =>
    memory.find((each) => each.pools === pools && each.reserve === reserve)?.bytes;
  const [sixteen, one, oneShared] = [bytes('per device', 16), bytes('per device', 1), bytes('shared', 16)];
  if (sixteen !== undefined && one !== undefined && oneShared !== undefined)
    said.push(
      `over ${memory[0]!.devices} devices sharing saves ${formatMemory(sixteen - oneShared)} of ${formatMemory(sixteen)}, a reserve of 1 ${formatMemory(sixteen - one)}`,
    );
  const agrees = ownStops.length === 0 && sharedStops.length > 0;
  return `${said.join('; ')}: document 5's objection ${agrees ? 'holds' : 'is not borne out'}.`;
}
