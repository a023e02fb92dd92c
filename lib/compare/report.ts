import { hazardArm } from './iv/arms.js';
import type { IvReport } from './iv/report.js';
import type { Environment } from './measure/environment.js';
import type { GroupsReport } from './measure/group.js';
import type { MempoolReport } from './mempool/mempool.js';
import { stackText } from './mempool/table.js';

/** What an experiment has measured. report.schema.json says the same for other programs. */
export type Report = IvReport | GroupsReport | MempoolReport;

/** Several experiments, one after the other on the same machine. */
export interface AllReport {
  version: 1;
  experiment: 'all';
  environment: Environment;
  reports: Report[];
}

export function reportsOf(report: Report | AllReport): Report[] {
  return report.experiment === 'all' ? report.reports : [report];
}

/** A line for each arm that had wrong outputs, other than the one that is there to have them. */
export function wrongOutputs(report: Report): string[] {
  switch (report.experiment) {
    case 'iv':
      return report.results
        .filter((cell) => !cell.outputsOk && cell.arm !== hazardArm)
        .map((cell) => wrongLine(cell, `${cell.arm} on ${cell.driver} with ${cell.bytes} bytes`));
    case 'mempool':
      return report.stacks
        .filter(({ outputsOk }) => !outputsOk)
        .map((each) => `${stackText(each)}, mempools ${each.pools}`);
    default:
      return report.groups.flatMap(({ name, results }) =>
        results.filter(({ outputsOk }) => !outputsOk).map((each) => wrongLine(each, `${each.arm} of ${name}`)),
      );
  }
}

function wrongLine({ wrongOutputs, error }: { wrongOutputs: number; error?: string }, what: string): string {
  return `${what}: ${(100 * wrongOutputs).toFixed(2)} %${error ? `; the first error: ${error}` : ''}`;
}
