import type { Environment, Host } from './environment.js';

/** The machine, in a few lines. */
export function formatEnvironment(environment: Environment): string {
  const { kernel, lab, host, cpu, virtualisation, node, libcrypto, load, afAlg } = environment;
  const machine = { none: 'real hardware', hypervisor: 'a virtual machine', emulated: 'emulated (TCG)' }[
    virtualisation
  ];
  return [
    `kernel ${kernel.release}${lab ? ` (the lab's '${lab}')` : ''}, ${kernel.architecture}, ${machine}`,
    `${cpu.count} x ${cpu.model}${cpu.flags.length ? ` (${cpu.flags.join(' ')})` : ''}, load ${load.toFixed(1)}`,
    ...(host ? [hostLine(host)] : []),
    `node ${node}, libcrypto ${libcrypto}`,
    afAlg.available ? `AIO on ciphers: ${afAlg.aio.state}: ${afAlg.aio.evidence}` : 'no AF_ALG',
    '',
  ].join('\n');
}

/** A quarter of the processors is enough for latencies that are the scheduler's, not the driver's. */
function hostLine({ cpu, count, busy }: Host): string {
  const share = `${(100 * busy).toFixed(0)} % busy before`;
  return `on a host of ${count} x ${cpu}, ${share}${busy > 0.25 ? ': THESE FIGURES ARE NOISY AT BEST' : ''}`;
}
