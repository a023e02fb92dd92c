import { type Capabilities, capabilities, type OfferedAlgorithm } from '../crypto/capabilities.js';
import { algTypes } from '../crypto/provider/proc-crypto.js';
import type { Command } from './command.js';
import { Exit } from './exit.js';

const aioWords = {
  asynchronous: 'asynchronous, any number on one op socket',
  'one-per-socket': 'asynchronous, one in flight per op socket',
  serialised: 'serialised by the kernel: completes inside io_submit',
  gone: 'gone',
  unproven: 'not provable here',
};

function head(report: Capabilities): string[] {
  const { afAlg, aio } = report;
  const restrict = afAlg.restrict === undefined ? 'no such switch' : `level ${afAlg.restrict}`;
  const types = algTypes.filter((type) => afAlg.types[type]).join(' ') || 'none';
  return [
    `kernel          ${report.kernel}${report.lab ? ` (the lab's '${report.lab}')` : ''}`,
    `node            ${report.node}, libcrypto ${report.libcrypto}, ${report.processors} processors`,
    `AF_ALG          ${afAlg.available ? `yes; types ${types}; af_alg_restrict: ${restrict}` : `no: ${afAlg.reason}`}`,
    `AIO skcipher    ${aioWords[aio.skcipher.state]} (${aio.skcipher.evidence})`,
    `AIO aead        ${aioWords[aio.aead.state]} (${aio.aead.evidence})`,
    `IV on a socket  ${report.carriesIv === undefined ? 'not testable' : report.carriesIv ? 'carried from request to request (cbc(aes))' : 'not carried'}`,
  ];
}

function sizes(algorithm: OfferedAlgorithm): string {
  const { minKeySize: min, maxKeySize: max } = algorithm;
  const fields: [string, string | number | undefined][] = [
    ['key', min === undefined ? undefined : min === max ? min : `${min}..${max}`],
    ['iv', algorithm.ivSize],
    ['block', algorithm.blockSize],
    ['digest', algorithm.digestSize],
    ['tag', algorithm.maxAuthSize],
  ];
  return fields
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function table(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

function algorithms(report: Capabilities): string[] {
  const usable = report.algorithms.filter(({ type, internal }) => type !== undefined && !internal);
  if (usable.length === 0) return ['none listed'];
  usable.sort((a, b) => a.type!.localeCompare(b.type!) || a.name.localeCompare(b.name) || b.priority - a.priority);
  const rows = usable.map((each) => [
    each.type!,
    each.name,
    each.driver,
    `${each.priority}`,
    each.binds,
    each.async ? 'async' : '',
    sizes(each),
  ]);
  return table([['type', 'name', 'driver', 'priority', 'binds', 'says', 'sizes (bytes)'], ...rows]);
}

function text(report: Capabilities): string {
  const auto = table(
    report.auto.map(({ type, name, provider, engine, why }) => [type, name, `${provider}, ${engine}`, why]),
  );
  const library = algTypes.map((type) => `${type.padEnd(9)} ${report.library[type].join(' ')}`);
  return [
    ...head(report),
    '',
    "what 'auto' picks",
    ...auto.map((line) => `  ${line}`),
    '',
    'the library does',
    ...library.map((line) => `  ${line}`),
    '',
    '/proc/crypto',
    ...algorithms(report).map((line) => `  ${line}`),
    '',
  ].join('\n');
}

export const info: Command = {
  name: 'info',
  usage: '[--json]',
  summary: 'What this host offers: AF_ALG, AIO, drivers, and what auto picks.',
  example: 'dmalg info',
  details: `
Everything is found out by trying: sockets are opened, each driver of /proc/crypto is bound, AIO is proved by submitting requests to an
asynchronous driver. 'says async' is the driver's own word, which is not to be relied on.`,
  options: { json: { type: 'boolean', help: 'print the whole report as JSON' } },
  async run({ values }) {
    const report = await capabilities();
    process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : text(report));
    return Exit.done;
  },
};
