import { concludeAgreement, concludeRounds, type Group, hasEnoughRounds } from '../measure/group.js';
import { formatRate } from '../text/table.js';
import { loadName, publishedLoad, publishedRate, type WorkqueueLoad } from './arms.js';
import { fioSuffix } from './kernel.js';

/** What the measurement says about Korchagin 2020's claim: a sentence for our target, and one for the kernel's. */
export function concludeWorkqueue(groups: readonly Group[]): string[] {
  const theirs = groups.filter(({ name }) => name.endsWith(fioSuffix));
  const ours = groups.filter((group) => !theirs.includes(group));
  const said = [concludeSide('here, in user space,', ours), concludeSide("the kernel's dm-crypt beside it", theirs)];
  const found = said.filter((text) => text !== undefined);
  const first = found.length > 0 ? found : ['too little was run to say anything about Korchagin 2020.'];
  return [...first, ...concludeAgreement(groups), ...concludeRounds(groups)];
}

function concludeSide(who: string, groups: readonly Group[]): string | undefined {
  const parts = (['read', 'write'] as const).flatMap((op) => {
    const group = groups.find(({ name }) => name.startsWith(loadName(publishedLoad(op))));
    const verdict = group?.comparisons.find(({ arm }) => arm === `no_${op}_workqueue`);
    return group && verdict ? [{ op, group, verdict }] : [];
  });
  if (parts.length === 0) return undefined;
  const figures = parts.map(({ op, group, verdict }) => {
    const rate = (arm: string) => formatRate(group.results.find((each) => each.arm === arm)!.throughput);
    const difference = verdict.verdict === 'differs' ? '' : ', no difference shown';
    return `${op}s ${rate('default')} MiB/s through the queue and ${rate(verdict.arm)} past it (x ${verdict.ratio.toFixed(2)}${difference}; Korchagin 2020: x ${published(op).toFixed(1)})`;
  });
  const faster = parts.filter(({ verdict }) => verdict.verdict === 'differs' && verdict.ratio > 1).length;
  const canTell = parts.every(({ group }) => hasEnoughRounds(group));
  const outcome = canTell
    ? ['is not borne out', 'holds in part', 'holds'][faster === parts.length ? 2 : faster > 0 ? 1 : 0]!
    : 'cannot be told from so few rounds';
  return `${who} with the null cipher and one request of 4 KiB at a time: ${figures.join('; ')}: that the queues cost more than they give ${outcome}.`;
}

/** How many times as fast it is past the queue. */
function published(op: WorkqueueLoad['op']): number {
  return publishedRate(op, `no_${op}_workqueue`) / publishedRate(op, 'default');
}
