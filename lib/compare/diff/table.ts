import { alignTable, formatNumber } from '../text/table.js';
import { type ArmDiff, armText, type Change, type Diff } from './diff.js';

const unique = (values: string[]) => [...new Set(values)];

/** Two runs side by side, for the terminal. */
export function formatDiff({ environment, runs, noise, arms, broken, only, outcomes }: Diff): string {
  const groups = unique(arms.map(groupText));
  return [
    ...(environment.length > 0
      ? ['The machines or the methods differ; what the arms differ by may be due to that.', ...list(environment)]
      : ['The same machine and method, as far as the reports know.']),
    noise === null
      ? 'One run a side: how much a rate changes from run to run is not known, so no difference can be told. Give several: BEFORE,BEFORE2 AFTER,AFTER2.'
      : `${runs.before} and ${runs.after} runs: from run to run of one side a rate changes by ${(100 * noise).toFixed(1)} % (standard deviation, all arms together).`,
    '',
    ...groups.flatMap((group) => [
      group,
      ...indent(alignTable([head, ...arms.filter((each) => groupText(each) === group).map(row)])),
      '',
    ]),
    ...broken.map((each) => `not compared: ${armText(each)}: outputs wrong or requests failed, ${where(each.in)}`),
    ...only.map((each) => `only ${each.in}: ${each.what}`),
    ...(outcomes.length > 0 ? ['What came of it is another thing:', ...list(outcomes)] : []),
    conclude({ arms, outcomes }),
    '',
  ].join('\n');
}

const indent = (lines: string[]) => lines.map((line) => `  ${line}`);
const groupText = ({ experiment, group }: ArmDiff) => `${experiment}: ${group}`;
const where = (run: 'before' | 'after' | 'both') => (run === 'both' ? 'before and after' : run);

const head = ['', 'MiB/s before', 'after', 'times as fast', '95 %', ''];

function row({ arm, before, after, ratio, low, high, verdict }: ArmDiff): string[] {
  const interval = low === null || high === null ? '' : `${low.toFixed(2)} to ${high.toFixed(2)}`;
  const [first, second] = [before, after].map((rate) => formatNumber(rate / 2 ** 20));
  return [arm, first!, second!, ratio.toFixed(2), interval, verdict];
}

function list(changes: Change[]): string[] {
  return changes.flatMap(({ what, before = '(none)', after = '(none)' }) => [
    `  ${what}`,
    `    before: ${before}`,
    `    after:  ${after}`,
  ]);
}

/** The whole in a line. */
function conclude({ arms, outcomes }: Pick<Diff, 'arms' | 'outcomes'>): string {
  const count = (verdict: ArmDiff['verdict']) => arms.filter((each) => each.verdict === verdict).length;
  const said = [
    ...(arms.length > 0
      ? [
          count('not told') === arms.length
            ? `${arms.length} arms are in both runs, of which no difference can be told`
            : `of ${arms.length} arms on both sides ${count('faster')} were faster, ${count('slower')} slower; of ${count('no difference shown')} no difference is shown`,
        ]
      : ['no arm with a speed is in both runs']),
    ...(outcomes.length > 0 ? [`${outcomes.length} outcomes changed`] : []),
  ];
  return `diff: ${said.join('; ')}.`;
}
