import type { Report } from '../report.js';
import { leastRounds } from './experiment.js';

/** What makes the figures of a report worth less than they look: said before anything else of it. */
export function caveatsOf(report: Report): string[] {
  const { environment } = report;
  const { virtualisation, load, steal = 0, cpu, host } = environment;
  const rounds = roundsOf(report);
  return [
    ...(virtualisation === 'emulated' ? ['the processor is emulated: rates are those of the emulator'] : []),
    ...(load > cpu.count / 2
      ? [`the machine was busy before: load ${load.toFixed(1)} on ${cpu.count} processors`]
      : []),
    ...(host && host.busy > 0.25 ? [`the lab's host was ${(100 * host.busy).toFixed(0)} % busy before`] : []),
    ...(steal > 0.02 ? [`the hypervisor gave ${(100 * steal).toFixed(0)} % of the processors' time to others`] : []),
    ...(rounds.length > 0 && Math.min(...rounds) < leastRounds
      ? [`some arms have fewer than ${leastRounds} rounds, with which no difference can be shown`]
      : []),
  ];
}

function roundsOf(report: Report): number[] {
  if (report.experiment === 'mempool') return [];
  const results = report.experiment === 'iv' ? report.results : report.groups.flatMap((group) => group.results);
  return results.map(({ repetitions }) => repetitions);
}
