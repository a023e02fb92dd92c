import { concludeAgreement, concludeRounds, type Group, hasEnoughRounds } from '../measure/group.js';
import type { Verdict } from '../measure/verdict.js';

/** Xu 2025's claims: what is held against what, and what it found. */
const claims: readonly { what: string; arm: string; against: string; found: Outcome; said: string }[] = [
  { what: 'the queue', arm: 'per unit, one lane', against: 'per unit', found: 'gains', said: '2.5 to 2.4 s' },
  { what: 'chaining', arm: 'chain', against: 'per unit', found: 'shows no difference', said: 'no gain' },
  { what: 'the whole bio', arm: 'whole bio', against: 'per unit', found: 'gains', said: '2.4 to 2.1 s' },
];
/** What its second author holds without a figure. */
const direct = { what: 'node:crypto', arm: 'node:crypto', against: 'whole bio' };

type Outcome = 'gains' | 'costs' | 'shows no difference';

/** What the measurement says about Xu 2025's claims: of all groups together, then of each in a sentence. */
export function concludeUnits(groups: readonly Group[]): string[] {
  const judged = groups.filter(hasEnoughRounds).flatMap((group) => {
    const sentence = describe(group);
    return sentence ? [{ group, sentence }] : [];
  });
  const short = concludeRounds(groups);
  if (judged.length === 0) return ['too little was run to say anything about Xu 2025.', ...short];
  const borne = claims.map(({ what, arm, against, found }) => {
    const held = judged.filter(({ group }) => {
      const verdict = find(group, arm, against);
      return verdict && outcome(verdict) === found;
    });
    return `that ${what} ${found} (here in ${held.length} of ${judged.length})`;
  });
  return [
    `Xu 2025 found ${borne.join(', ')}.`,
    ...judged.map(({ sentence }) => sentence),
    ...concludeAgreement(groups),
    ...short,
  ];
}

function describe(group: Group): string | undefined {
  const said = [...claims, { ...direct, said: undefined }].flatMap(({ what, arm, against, said }) => {
    const verdict = find(group, arm, against);
    if (!verdict) return [];
    const theirs = said ? `; Xu 2025: ${said}` : `, against ${against}`;
    return [`${what} ${outcome(verdict)} (x ${verdict.ratio.toFixed(2)}${theirs})`];
  });
  return said.length > 0 ? `${group.name}: ${said.join(', ')}.` : undefined;
}

const find = (group: Group, arm: string, against: string) =>
  group.comparisons.find((each) => each.arm === arm && each.against === against);

function outcome({ verdict, ratio }: Verdict): Outcome {
  if (verdict === 'does not differ') return 'shows no difference';
  return ratio > 1 ? 'gains' : 'costs';
}
