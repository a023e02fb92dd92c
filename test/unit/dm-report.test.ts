import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { Bio } from '../../lib/dm/bio.js';
import type { LineReport } from '../../lib/dm/holdings.js';
import { openTable } from '../../lib/dm/open-table.js';
import { dmalg } from '../cli/run.js';
import { ManualDevice } from '../support/manual-device.js';
import { ManualEngine } from '../support/manual-engine.js';
import { VerityTestImage } from '../support/verity-image.js';

const key = '000102030405060708090a0b0c0d0e0fF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF';
const schema = JSON.parse(readFileSync(new URL('../../../lib/dm/status.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv().compile(schema);
const turn = () => new Promise((resolve) => setImmediate(resolve));

function valid(lines: unknown): void {
  expect(validate(lines), JSON.stringify(validate.errors)).to.equal(true);
}
const descriptors = () => readdirSync('/proc/self/fd').length;

describe('what a device holds', function () {
  this.timeout(600_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-report-'));
    writeFileSync(join(folder, 'image'), Buffer.alloc(1 << 20));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is told by dmalg dm status --json, in the shape of its schema and without keys', () => {
    const lines = `0 8 crypt aes-xts-plain64 ${key} 0 image 0 1 allow_discards\n8 8 zero\n16 8 delay ram:4096 0 5\n24 8 linear image 8`;
    const { status, stdout } = dmalg(folder, ['dm', 'status', '--table', lines, '--json', '--provider', 'library']);
    expect(status).to.equal(0);
    const rows: LineReport[] = JSON.parse(stdout.toString());
    valid(rows);
    expect(stdout.toString().toLowerCase()).to.not.include(key.slice(16, 32).toLowerCase());
    const line = ({ start, length, type, params, table }: LineReport) => [start, length, type, params, table];
    expect(rows.map(line)).to.deep.equal([
      [0, 8, 'crypt', '', `aes-xts-plain64 ${'0'.repeat(64)} 0 image 0 1 allow_discards`],
      [8, 8, 'zero', '', ''],
      [16, 8, 'delay', '0 0 0', 'ram:4096 0 5'],
      [24, 8, 'linear', '', 'image 8'],
    ]);
    const image = { name: 'image', sectors: 2048, blockSize: 512, holds: { descriptors: 1 } };
    expect(rows.map(({ devices }) => devices)).to.deep.equal([
      [image],
      [],
      [{ name: 'ram:4096', sectors: 8, blockSize: 512, holds: { descriptors: 0, bytes: 4096 } }],
      [image],
    ]);
    const idle = { depth: 64, inFlight: 0, backlog: 0, descriptors: 1, shared: false };
    const pages = { reserved: 1 << 20, inUse: 0 };
    expect(rows[0]!.holds).to.deep.equal({
      memory: pages,
      mempools: { 'pages of a write': { ...pages, waiting: 0 } },
      engine: { name: 'lanes', lanes: availableParallelism(), ...idle },
      sortedWrites: 0,
    });
    const nothing = { memory: { reserved: 0, inUse: 0 }, mempools: {} };
    expect(rows.slice(1).map(({ holds }) => holds)).to.deep.equal([nothing, { ...nothing, delayed: 0 }, nothing]);
  });

  it('descriptors are those that opening it opens', async () => {
    const image = join(folder, 'image');
    const line = `0 8 crypt aes-xts-plain64 ${key} 0 ${image} 0`;
    await (await openTable(line, { provider: 'library' })).close(); // what is opened once and for all
    const before = descriptors();
    await using device = await openTable(line, { provider: 'library' });
    const [{ holds, devices }] = device.report().lines as [LineReport];
    expect(descriptors() - before).to.equal(holds.engine!.descriptors + devices[0]!.holds!.descriptors);
  });

  it('what is in flight, held and waited for, in devices that lie on each other', async () => {
    const bottom = new ManualDevice(65536);
    const engine = new ManualEngine();
    const options = { provider: 'library', engine } as const;
    const lower = await openTable('0 128 delay bottom 0 0 bottom 0 50000', { devices: { bottom } });
    const upper = await openTable(`0 128 crypt aes:2-cbc-plain ${key} 0 lower 0`, {
      ...options,
      reserve: 3,
      devices: { lower },
    });
    const ends: unknown[] = [];
    const write = (bytes: number) =>
      upper.submit(new Bio({ op: 'write', sector: 0, bytes: Buffer.alloc(bytes) }, (error) => ends.push(error)));
    const holds = () => {
      const report = upper.report();
      valid(report.lines);
      const [{ holds, devices }] = report.lines as [LineReport];
      return { inFlight: report.inFlight, holds, below: devices[0]!.mapped! };
    };
    expect(holds().holds.mempools['requests of a key']).to.include({ reserved: 3 * 66560, inUse: 0 });
    write(1024);
    while (engine.flying.length < 2) await turn();
    expect(holds()).to.deep.include({ inFlight: 1 });
    expect(holds().holds.mempools['requests of a key']).to.include({ reserved: 2 * 66560, inUse: 66560 });
    expect(holds().holds.engine).to.include({ name: 'manual', shared: true });
    while (engine.flying.length) engine.complete(0);
    while (holds().below.inFlight === 0) await turn();
    expect(holds().below.lines[0]!.holds.delayed).to.equal(1);
    expect(holds().below.lines[0]!.params).to.equal('0 1 0');
    expect(holds().below.state).to.equal('live');
    const suspending = lower.suspend();
    bottom.go();
    await suspending;
    write(512);
    while (engine.flying.length < 1) await turn();
    engine.complete(0);
    while (holds().below.deferred === 0) await turn();
    expect(holds().below).to.deep.include({ state: 'suspended', inFlight: 0, deferred: 1 });
    await lower.resume();
    const closing = lower.close(); // passes on what is held
    bottom.go();
    await closing;
    expect(ends).to.deep.equal([null, null]);
    expect(holds()).to.deep.include({ inFlight: 0 });
    await upper.close();
  });

  it('of verity: hash blocks, bits, mempools, FEC', async () => {
    const image = await VerityTestImage.make(folder, { blocks: 300, roots: 2 });
    await using device = await openTable(image.line(['check_at_most_once']), { readOnly: true, provider: 'library' });
    await device.read(0, device.size);
    const { lines } = device.report();
    valid(lines);
    const [{ holds, devices, params }] = lines as [LineReport];
    expect(params).to.equal('V 0');
    expect(devices.map(({ name }) => name)).to.deep.equal(['data', 'hash', 'fec'].map((name) => join(folder, name)));
    expect(holds).to.include({ hashBlocks: 4, validatedBytes: Math.ceil(300 / 8) });
    expect(Object.keys(holds.mempools).sort()).to.deep.equal([
      'blocks read again',
      'further requests',
      'requests of bios',
      'sets of FEC',
    ]);
    const reserved = Object.values(holds.mempools).reduce((sum, pool) => sum + pool.reserved, 0);
    expect(holds.memory.reserved).to.equal(reserved);
    expect(holds.memory).to.deep.equal(device.memoryUsage());
  });
});
