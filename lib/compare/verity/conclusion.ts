import { concludeAgreement, concludeRounds, type Group, type GroupResult, hasEnoughRounds } from '../measure/group.js';
import type { Verdict } from '../measure/verdict.js';
import { formatNumber } from '../text/table.js';
import { batched, patch, publishedBlockBytes, serial, single } from './arms.js';
import type { VerityCase } from './cases.js';

export interface MeasuredCase {
  what: VerityCase;
  group: Group;
}

/** What the measurement says about Chemla 2018's claims, in sentences. */
export function concludeVerity(measured: readonly MeasuredCase[]): string[] {
  const rates = measured.filter(({ what }) => !what.special);
  const providers = [...new Set(rates.map(({ what }) => what.provider))];
  const pairs = providers.flatMap((provider) => {
    const of = (engine: VerityCase['engine']) =>
      rates.find(({ what }) => what.provider === provider && what.engine === engine);
    const [lanes, sync] = [of('lanes'), of('sync')];
    return lanes && sync ? [{ provider, lanes, sync }] : [];
  });
  const [first] = pairs;
  if (!first) return ['too little was run to say anything about Chemla 2018.'];
  return [
    ...pairs.map(({ provider, lanes, sync }) => concludeRates(provider, lanes.group, sync.group)),
    concludeBatching(first.lanes.group),
    concludeSwitches(first.lanes.group),
    concludeMemory(first.lanes, first.sync.group),
    ...concludeWant(measured),
    ...concludeOptions(measured),
    ...concludeAgreement(measured.map(({ group }) => group)),
    ...concludeRounds(measured.map(({ group }) => group)),
  ];
}

const resultOf = (group: Group, arm: string): GroupResult => group.results.find((each) => each.arm === arm)!;

const verdictOf = (group: Group, arm: string, against: string): Verdict =>
  group.comparisons.find((each) => each.arm === arm && each.against === against)!;

const times = ({ ratio, low, high }: Verdict) =>
  `${ratio.toFixed(2)} times (95 %: ${low.toFixed(2)} to ${high.toFixed(2)})`;

const gains = ({ verdict, ratio }: Verdict) => verdict === 'differs' && ratio > 1;

function concludeRates(provider: string, lanes: Group, sync: Group): string {
  const [hardware, software] = [verdictOf(lanes, patch, serial), verdictOf(sync, patch, serial)];
  const stated = `${provider}: the patch's parallel hashing has ${times(hardware)} the rate of one after another where completions come later (lanes; Chemla 2018: 1.12), ${times(software)} where they come in the call (sync; Chemla 2018: below 1.01)`;
  if (![lanes, sync].every(hasEnoughRounds))
    return `${stated}: too few rounds to say whether Chemla 2018's gain is there.`;
  if (!gains(hardware)) return `${stated}: Chemla 2018's gain is not shown here.`;
  if (gains(software)) return `${stated}: Chemla 2018's gain is there, and against its claim in software, too.`;
  return `${stated}: Chemla 2018's claim holds.`;
}

function concludeBatching(group: Group): string {
  const more = verdictOf(group, batched, single);
  const less = verdictOf(group, single, patch);
  const lost = less.verdict === 'differs' && less.ratio < 1;
  const memory = lost ? 'costs time against' : 'costs no time against';
  // Within a long request blocks may be hashed four at once, and lanes share it: whatever it is, it is had without more requests.
  const gained = gains(more) ? ', a gain of longer requests, not of more in flight' : '';
  return `${group.name}: a reserved request and a mempool ${memory} allocating all for each bio: ${times(less)} its rate; many blocks a request have ${times(more)} the rate of a block a request${gained}.`;
}

function concludeSwitches(group: Group): string {
  const switches = (arm: string) => {
    const { usage, requests, repetitions } = resultOf(group, arm);
    return (usage.voluntarySwitches + usage.involuntarySwitches) / (requests * repetitions);
  };
  const [before, after] = [switches(serial), switches(patch)];
  const share = before > 0 ? (100 * (before - after)) / before : 0;
  const change = share >= 0 ? `${share.toFixed(0)} % fewer` : `${(-share).toFixed(0)} % more`;
  return `${group.name}: ${change} context switches in parallel, ${formatNumber(after)} a bio instead of ${formatNumber(before)} (Chemla 2018: 10 % fewer).`;
}

function concludeMemory({ what, group }: MeasuredCase, sync: Group): string {
  const peak = (from: Group, arm: string) => resultOf(from, arm).figures['peak bytes a bio']!;
  const blocks = what.bioSize / 4096;
  const each = peak(group, patch) / blocks;
  const peaks = [serial, patch, single, batched].map((arm) => `'${arm}' ${peak(group, arm)}`).join(', ');
  return `${group.name}: bytes of requests that a bio held at most, V8's own not counted: ${peaks}. All allocated takes ${formatNumber(each)} for each block (Chemla 2018: ${publishedBlockBytes}, most of them for FEC, whose buffers are the device's here), also where hashing completes in the call; a reserved request for a block is enough there: ${peak(sync, single)} instead of ${peak(sync, patch)}.`;
}

/** Who fails and who waits, where there is no memory. */
function concludeWant(measured: readonly MeasuredCase[]): string[] {
  return measured.flatMap(({ what: { special }, group }) => {
    if (!special || !('elements' in special)) return [];
    const failed = (each: GroupResult) => each.figures['bios failed without memory']!;
    const where = special.elements === 0 ? 'with no memory' : `with memory for ${special.elements} requests`;
    const said = group.results.map((each) =>
      failed(each) > 0
        ? `'${each.arm}' fails ${failed(each)} of ${each.requests} bios`
        : `'${each.arm}' waits, and none fails`,
    );
    return [`${where} beyond a reserve of 1: ${said.join('; ')}.`];
  });
}

function concludeOptions(measured: readonly MeasuredCase[]): string[] {
  const groups = measured.filter(({ what: { special } }) => special && 'option' in special);
  if (groups.length === 0) return [];
  const names = groups.map(({ what: { special } }) => (special as { option: string }).option).join(', ');
  const wrong = groups.flatMap(({ group }) =>
    group.results.filter(({ outputsOk }) => !outputsOk).map(({ arm }) => `'${arm}' in ${group.name}`),
  );
  if (wrong.length) return [`with ${names}: WRONG bytes: ${wrong.join('; ')}.`];
  return [
    `with ${names} every arm gives the right bytes: the patch was said to break all of these, hashing in parallel breaks none.`,
  ];
}
