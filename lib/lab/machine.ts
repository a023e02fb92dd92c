import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { mortal } from './run-tool.js';
import { findTool } from './tools.js';

export interface MachineOptions {
  image: string;
  initramfs: string;
  /** Added to the kernel's command line; init sees them as variables. */
  variables: Record<string, string | number>;
  /** MiB. */
  memory: number;
  cpus: number;
  /** Host folder to share writably. */
  output?: string | undefined;
}

/** The ports of init.sh, in the order of their numbers, from 1. */
const portNames = ['stdout', 'stderr', 'stdin', 'log', 'control'] as const;
export type PortName = (typeof portNames)[number];

/** A running QEMU. */
export interface Machine {
  process: ChildProcess;
  /** The kernel's console. */
  console: Readable;
  /** What QEMU itself complains about. */
  messages: Readable;
  ports: Record<PortName, Duplex>;
}

/** KVM only where the processor has it: inside a virtual machine /dev/kvm may exist and hang a guest. */
function accelerator(): string {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    if (/^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'latin1'))) return 'kvm';
  } catch {
    // No KVM, then.
  }
  return 'tcg,thread=multi';
}

/** The kernel's command line. */
const parameters = [
  'console=ttyS0',
  'quiet',
  // A kernel in trouble ends QEMU at once, and with it the run: what came after would prove nothing, or hang.
  'oops=panic',
  'panic=-1',
  // The log keeps its first lines whatever the command makes the kernel say.
  'log_buf_len=4M',
  // init.sh turns the self-tests on again where they matter.
  'cryptomgr.notests=1',
  // Emulated, the clocks of the processors are one; without being told the kernel falls back to a slow device.
  'tsc=reliable',
  // init.sh starts the other processors. The kernel patches its own code most while it boots, and emulated processors see each other's patches late now and then.
  'maxcpus=1',
];

/** A value inside a QEMU option: a comma is written twice. */
const quoted = (text: string) => text.replaceAll(',', ',,');

/** The first of the child's file descriptors behind stdin, stdout and stderr. */
const FIRST_FD = 3;

export function machineArguments(options: MachineOptions): string[] {
  const variables = Object.entries(options.variables).map(([name, value]) => `dmalg_${name}=${value}`);
  const share = (path: string, tag: string, access: string) =>
    `local,path=${quoted(path)},mount_tag=${tag},security_model=none,multidevs=remap${access}`;
  return [
    ...[
      '-M',
      'q35,smm=off,sata=off,usb=off,vmport=off',
      '-accel',
      accelerator(),
      '-cpu',
      // Without ERMS the kernel copies eight bytes an instruction instead of one, which emulated is the faster by half.
      accelerator().startsWith('tcg') ? 'max,-erms' : 'max',
      '-smp',
      `${options.cpus}`,
      '-m',
      `${options.memory}`,
    ],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-rtc', 'base=utc'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-kernel', options.image, '-initrd', options.initramfs],
    ...['-append', [...parameters, ...variables].join(' ')],
    ...['-virtfs', share('/', 'host', ',readonly=on')],
    ...(options.output ? ['-virtfs', share(options.output, 'output', '')] : []),
    ...['-object', 'cryptodev-backend-builtin,id=crypto', '-device', 'virtio-crypto-pci,cryptodev=crypto'],
    ...['-device', 'virtio-serial-pci,id=ports'],
    ...portNames.flatMap((name, index) => [
      ...['-chardev', `socket,id=${name},fd=${FIRST_FD + index}`],
      ...['-device', `virtserialport,bus=ports.0,chardev=${name},nr=${index + 1},name=dmalg.${name}`],
    ]),
  ];
}

/**
 * Starts QEMU. It dies with this process, however that ends, and has its own process group, so that a Ctrl-C in the terminal reaches it
 * through us only.
 */
export function startMachine(options: MachineOptions): Machine {
  const child = spawn(...mortal(findTool('qemu-system-x86_64'), machineArguments(options)), {
    stdio: ['ignore', 'pipe', 'pipe', ...portNames.map(() => 'pipe' as const)],
    detached: true,
  });
  // Socket pairs: Node makes its pipes from them, and QEMU takes a connected socket by number.
  const ports = portNames.map((name, index) => [name, child.stdio[FIRST_FD + index]]);
  return { process: child, console: child.stdout!, messages: child.stderr!, ports: Object.fromEntries(ports) };
}
