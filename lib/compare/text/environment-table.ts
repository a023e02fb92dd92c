import type { DriverDescription, Environment, Host } from '../measure/environment.js';
import { formatMemory } from './table.js';

const machines = { none: 'real hardware', hypervisor: 'a virtual machine', emulated: 'emulated (TCG)' };

/** The machine, in a few lines. */
export function formatEnvironment(environment: Environment): string {
  const { kernel, lab, host, cpu, virtualisation, node, libcrypto, load, afAlg } = environment;
  const machine = machines[virtualisation];
  return [
    `kernel ${kernel.release}${lab ? ` (the lab's '${lab}')` : ''}, ${kernel.architecture}, ${machine}`,
    `${cpu.count} x ${cpu.model}${cpu.flags.length ? ` (${cpu.flags.join(' ')})` : ''}, load ${load.toFixed(1)}`,
    ...(host ? [hostLine(host)] : []),
    `node ${node}, libcrypto ${libcrypto}`,
    afAlg.available ? `AIO on ciphers: ${afAlg.aio.state}: ${afAlg.aio.evidence}` : 'no AF_ALG',
    '',
  ].join('\n');
}

/** All that is known of the machine, each with its name: [what, value]. Absent are the date, and what this machine does not have. */
export function environmentFacts(environment: Environment): [string, string][] {
  const { kernel, lab, host, cpu, virtualisation, memoryBytes, afAlg, node, libcrypto, load, drivers } = environment;
  const facts: [string, string | undefined][] = [
    ['machine', `${kernel.architecture}, ${machines[virtualisation]}`],
    ['processor', `${cpu.count} x ${cpu.model}`],
    ['crypto flags', cpu.flags.join(' ')],
    ['memory', formatMemory(memoryBytes)],
    ['kernel', `${kernel.release} ${kernel.version}`],
    ['lab', lab],
    ['host', host && hostLine(host)],
    ['AIO on ciphers', afAlg.available ? `${afAlg.aio.state}: ${afAlg.aio.evidence}` : 'no AF_ALG'],
    ['af_alg_restrict', afAlg.restrict?.toString()],
    ['node', `${node}, libcrypto ${libcrypto}`],
    ['load', load.toFixed(1)],
    ['command line', kernel.commandLine],
    ...drivers.map((driver): [string, string] => [`driver ${driver.name}`, describeDriver(driver)]),
  ];
  return facts.filter((fact): fact is [string, string] => Boolean(fact[1]));
}

function describeDriver({ provider, module, priority, parameters }: DriverDescription): string {
  return [
    `of the ${provider}`,
    ...(module ? [`module ${module}`] : []),
    ...(priority === undefined ? [] : [`priority ${priority}`]),
    ...Object.entries(parameters).map(([name, value]) => `${name}=${value}`),
  ].join(', ');
}

/** A quarter of the processors is enough for latencies that are the scheduler's, not the driver's. */
function hostLine({ cpu, count, busy }: Host): string {
  const share = `${(100 * busy).toFixed(0)} % busy before`;
  return `on a host of ${count} x ${cpu}, ${share}${busy > 0.25 ? ': THESE FIGURES ARE NOISY AT BEST' : ''}`;
}
