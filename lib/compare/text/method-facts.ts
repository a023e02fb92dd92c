import type { Report } from '../report.js';
import { formatSize } from './table.js';

/** How the experiment was done: [what, how]. */
export function methodFacts(report: Report): [string, string][] {
  if (report.experiment === 'mempool') {
    const { least, most, bytes, quick } = report.method;
    return [
      [
        'load',
        `${least === most ? least : `${least} to ${most}`} bios of ${formatSize(bytes)} to each stack: reads of verity, writes of crypt`,
      ],
      ['scope', scope(quick)],
    ];
  }
  const { order, test, alpha, warmUps, quick } = report.method;
  const results = report.experiment === 'iv' ? report.results : report.groups.flatMap((group) => group.results);
  const rounds = [...new Set(results.map(({ repetitions }) => repetitions))].sort((a, b) => a - b);
  return [
    ['order', `${order}; ${rounds.join(', ')} rounds that count, ${warmUps} before that do not`],
    ['test', `${test}; two arms differ where that is below ${alpha}`],
    ['outputs', 'each was compared with those of an independent implementation'],
    ['scope', scope(quick)],
  ];
}

const scope = (quick: boolean) => (quick ? 'a quick run (--quick): less of everything' : 'a full run');
