import { spawnSync } from 'node:child_process';
import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { withoutKeys } from '../../lib/base/without-keys.js';
import { openTable } from '../../lib/dm/open-table.js';

const index = new URL('../../lib/index.js', import.meta.url).href;

/** 64 bytes in which no 16 digits are found twice. */
const key = Buffer.from(Uint8Array.from({ length: 64 }, (_, at) => (at * 37 + 19) & 255)).toString('hex');

/** Any 16 consecutive digits of the key in a text, whatever their case; undefined where there are none. */
function leak(text: string): string | undefined {
  const lower = text.toLowerCase();
  for (let at = 0; at + 16 <= key.length; at++) {
    const digits = key.slice(at, at + 16);
    if (lower.includes(digits)) return digits;
  }
  return undefined;
}

/** A crypt line with the key in it, and something wrong with it: words changed, lost, doubled, moved. Most are refused. */
const lines = fc
  .record({
    cipher: fc.constantFrom(
      'aes-xts-plain64',
      'aes-cbc-essiv:sha256',
      'aes-cbc-essiv:nothing',
      'nothing-cbc-plain',
      'capi:xts(aes)-plain64',
      'aes:3-cbc-plain',
      'aes-cbc-tcw',
      'aes-cbc-nothing',
    ),
    length: fc.constantFrom(128, 64, 66, 16, 15, 127, 1),
    spoil: fc.constantFrom('', 'z', ' ', ':', '-', '0x'),
    upper: fc.boolean(),
    rest: fc.constantFrom(
      '0 ram:65536 0',
      '0 ram:65536 0 1 nothing',
      '0 ram:65536 1',
      '1x ram:65536 0',
      '0 missing 0',
      '0 ram:65536 0 9',
      '0 ram:65536 0 1 sector_size:3',
      '0',
    ),
    moves: fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 3 }),
    drop: fc.option(fc.nat(12)),
    type: fc.constantFrom('crypt', 'crypt', 'crypt', 'linear', 'verity', 'flakey', 'nothing'),
  })
  .map(({ cipher, length, spoil, upper, rest, moves, drop, type }) => {
    const digits = key.slice(0, length);
    const half = digits.length >> 1;
    const text = (upper ? digits.toUpperCase() : digits).slice(0, half) + spoil + digits.slice(half);
    const words = `0 128 ${type} ${cipher} ${text} ${rest}`.split(' ');
    for (const [from, to] of moves) words.splice(to % words.length, 0, ...words.splice(from % words.length, 1));
    if (drop !== null) words.splice(drop % words.length, 1);
    return words.join(' ');
  });

describe('keys in words', function () {
  this.timeout(600_000);

  it('withoutKeys leaves names and paths as they are, and no 16 hex digits elsewhere', () => {
    const name = '/var/lib/0123456789abcdef0123456789abcdef/x';
    expect(withoutKeys(`open '${name}'`)).to.equal(`open '${name}'`);
    expect(withoutKeys('aes-xts-plain64 cafe 0123456789abcde')).to.equal('aes-xts-plain64 cafe 0123456789abcde');
    expect(withoutKeys(`x ${key}, '${key.toUpperCase()}'`)).to.equal("x <128 hex digits>, '<128 hex digits>'");
    fc.assert(
      fc.property(fc.string(), fc.nat(112), fc.string(), (before, at, after) => {
        fc.pre(!/[/]/.test(before + after));
        expect(leak(withoutKeys(before + key.slice(at) + after))).to.equal(undefined);
      }),
      { seed: 20261122, numRuns: 300 },
    );
  });

  it('no error of any line with a key has the key in it', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(lines, async (line) => {
        try {
          await (await openTable(line, { provider: 'library', engine: 'sync' })).close();
        } catch (error) {
          refused++;
          const { message, stack = '' } = error as Error;
          for (const text of [message, stack, JSON.stringify(error), inspect(error, { depth: 9 })])
            expect(leak(text), text).to.equal(undefined);
        }
      }),
      { seed: 20261122, numRuns: 1500 },
    );
    expect(refused).to.be.greaterThan(700);
  });

  it('messages to a device, its status and its report have none either', async () => {
    const line = `0 128 crypt aes-xts-plain64 ${key} 0 ram:65536 0`;
    await using device = await openTable(line, { provider: 'library', engine: 'sync' });
    const other = key.slice(2, 66);
    await device.suspend();
    for (const message of [
      `key set ${other}`,
      `key set ${key}00`,
      `key set ${key}zz`,
      `key ${key}`,
      `set ${key}`,
      `key set ${key} ${key}`,
    ]) {
      const error = await device.message(message).then(
        () => undefined,
        (each: unknown) => each,
      );
      expect(leak(inspect(error, { depth: 9 })), message).to.equal(undefined);
    }
    await device.message(`key set ${key}`);
    await device.resume();
    for (const text of [
      device.status(),
      device.table(),
      JSON.stringify(device.report()),
      inspect(device, { depth: 9, showHidden: true }),
    ])
      expect(leak(text), text).to.equal(undefined);
    expect(device.table({ showKeys: true })).to.equal(line);
  });

  it('NODE_DEBUG=dmalg tells what is opened, chosen and closed, without keys; without it nothing is said', () => {
    const program = `
      import { openTable } from '${index}';
      const key = ${JSON.stringify(key)};
      for (const line of ['0 128 crypt aes-xts-plain64 ' + key + ' 0 ram:65536 0', '0 128 crypt ' + key + ' aes-xts-plain64 0 ram:65536 0', '0 128 linear ' + key + ' 0'])
        try { await (await openTable(line)).close(); } catch {}`;
    const run = (debug: string) =>
      spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
        env: { ...process.env, NODE_DEBUG: debug },
      }).stderr;
    expect(run('')).to.equal('');
    const said = run('dmalg');
    expect(leak(said), said).to.equal(undefined);
    const lines = said
      .trim()
      .split('\n')
      .map((line) => line.replace(/^DMALG \d+: /, ''));
    expect(lines).to.include('device 1: opened: 0 128 crypt aes-xts-plain64 <128 hex digits> 0 ram:65536 0');
    expect(lines).to.include('device 1: closed');
    expect(said).to.match(/provider: (library|kernel) for xts\(aes\): \S/);
    expect(said).to.match(/engine: \w+ for xts\(aes\), provider \w+: \S/);
  });
});
