import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { CliError, parseInvocation } from '../../lib/cli/command.js';
import { commands } from '../../lib/cli/commands.js';
import { listLine, parseListLine } from '../../lib/cli/hash.js';
import { integerOption } from '../../lib/cli/option-values.js';
import { findAlgorithm, parseProcCrypto } from '../../lib/crypto/provider/proc-crypto.js';
import { CryptError } from '../../lib/crypto/sector/error.js';
import { parseKey } from '../../lib/crypto/sector/key.js';
import { ivModes, parseCipher } from '../../lib/crypto/sector/spec.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { scanKernelLog } from '../../lib/lab/kernel-log.js';
import { OptionData, OptionDataError } from '../../lib/nbd/server/option-data.js';
import { activatedSockets } from '../../lib/nbd/server/socket-activation.js';
import { serverCredentials, TlsError } from '../../lib/nbd/tls.js';
import { formatNbdUri, parseNbdUri } from '../../lib/nbd/uri.js';
import { VerityError } from '../../lib/verity/error.js';
import { formatSuperblock, parseSuperblock, superblockSize } from '../../lib/verity/superblock.js';
import { seed } from './seed.js';

const text = fc.string({ unit: 'binary', maxLength: 60 });
const runs = { seed, numRuns: 1500 };

/** Runs it; what it throws is of these kinds. */
function refusedBy<T>(kinds: readonly (new (...args: never[]) => Error)[], parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(
      kinds.some((kind) => error instanceof kind),
      String(error),
    ).to.equal(true);
    return undefined;
  }
}

async function refusedLater<T>(kinds: readonly (new (...args: never[]) => Error)[], parse: () => Promise<T>) {
  const outcome = await parse().catch((error: unknown) => error);
  if (outcome instanceof Error)
    refusedBy(kinds, () => {
      throw outcome;
    });
  return outcome instanceof Error ? undefined : (outcome as T);
}

/** Something like a text, by pieces of it that are put together in another way. */
const piecesOf = (pieces: readonly string[]) =>
  fc
    .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...pieces) }, { weight: 1, arbitrary: text }), {
      maxLength: 12,
    })
    .map((parts) => parts.join(''));

describe('parsers and what nobody expects', function () {
  this.timeout(0);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-parsers-'));
  after(() => rmSync(folder, { recursive: true }));

  const cipher = piecesOf(['capi:', 'aes', 'xts', 'cbc', '(', ')', '-', ':', '64', '0', 'essiv', 'sha256', ...ivModes]);

  it('cipher specifications', () => {
    const property = fc.property(cipher, (spec) => {
      const parsed = refusedBy([CryptError], () => parseCipher(spec));
      if (parsed) expect(Math.log2(parsed.keyCount) % 1).to.equal(0);
    });
    fc.assert(property, runs);
  });

  it('keys of crypt lines, whose error repeats none of it', () => {
    const property = fc.property(piecesOf([':', '32', 'logon', 'user', 'deadbeef', '-', ' ', '0', 'xyzzy']), (key) => {
      try {
        expect(parseKey(key).size).to.be.at.least(0);
      } catch (error) {
        expect(error).to.be.instanceOf(CryptError);
        if (/^[0-9a-f]{8}/.test(key)) expect((error as Error).message).not.to.contain('deadbeef');
      }
    });
    fc.assert(property, runs);
  });

  it('crypt lines with their options and IV options', async () => {
    const words = [
      'allow_discards',
      'sector_size:4096',
      'sector_size:',
      'integrity:28:aead',
      'iv_large_sectors',
      'same_cpu_crypt',
    ];
    const option = fc.oneof(fc.constantFrom(...words), text);
    const lines = fc.tuple(
      cipher,
      fc.nat(128),
      fc.oneof(fc.nat(20).map(String), text),
      fc.nat(9),
      fc.array(option, { maxLength: 4 }),
    );
    const property = fc.asyncProperty(lines, async ([spec, keySize, ivOffset, count, options]) => {
      const key = 'a5'.repeat(keySize) || '-';
      const line = `0 64 crypt ${spec} ${key} ${ivOffset} ram:32768 0 ${count} ${options.join(' ')}`;
      const device = await refusedLater([TableError], () => openTable(line, { provider: 'library', engine: 'sync' }));
      if (device) expect(device.size).to.equal(32768);
      await device?.close();
    });
    await fc.assert(property, runs);
  });

  it('superblocks: what is read and written is the same', () => {
    const base = formatSuperblock({
      uuid: '9f7a2b1c-0000-4000-8000-000000000001',
      hashType: 1,
      hash: 'sha256',
      dataBlockSize: 4096,
      hashBlockSize: 4096,
      dataBlocks: 300,
      salt: new Uint8Array(32),
    });
    const changes = fc.array(fc.tuple(fc.nat(95), fc.nat(255)), { maxLength: 5 });
    const property = fc.property(changes, fc.nat(2 * superblockSize), (spoilt, length) => {
      const bytes = Buffer.from(base);
      for (const [at, value] of spoilt) bytes[at] = value;
      const parsed = refusedBy([VerityError], () => parseSuperblock(bytes.subarray(0, length)));
      if (parsed) expect(parseSuperblock(formatSuperblock(parsed))).to.deep.equal(parsed);
    });
    fc.assert(property, runs);
  });

  it('NBD URIs', () => {
    const pieces = [
      'nbd',
      'nbds',
      '+unix',
      '://',
      '/',
      ':',
      '@',
      '?',
      'socket=',
      '&',
      'tls-username=',
      '%2F',
      '%',
      '[::1]',
      'host',
      '10809',
    ];
    const property = fc.property(piecesOf(pieces), (uri) => {
      const parsed = refusedBy([RangeError], () => parseNbdUri(uri));
      if (parsed) expect(parseNbdUri(formatNbdUri(parsed))).to.deep.equal(parsed);
    });
    fc.assert(property, runs);
  });

  it('data of NBD options', () => {
    const step = fc.constantFrom('u16', 'u32', 'string', 'end');
    const property = fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(step, { maxLength: 8 }), (bytes, steps) => {
      const data = new OptionData(Buffer.from(bytes));
      for (const method of steps) refusedBy([OptionDataError], () => data[method as 'u16']());
    });
    fc.assert(property, runs);
  });

  it('LISTEN_PID and LISTEN_FDS', () => {
    const value = fc.oneof(fc.nat(2000).map(String), text, fc.constant(undefined));
    const property = fc.property(value, value, fc.nat(9999), (LISTEN_PID, LISTEN_FDS, pid) => {
      for (const of of [LISTEN_PID, `${pid}`]) {
        const sockets = activatedSockets({ LISTEN_PID: of, LISTEN_FDS }, pid);
        expect(sockets).to.have.length(of === `${pid}` && /^\d{1,3}$/.test(LISTEN_FDS ?? '') ? Number(LISTEN_FDS) : 0);
        expect(sockets.every((fd) => fd >= 3)).to.equal(true);
      }
    });
    fc.assert(property, runs);
  });

  it('files of keys, whose error repeats none of them', async () => {
    const file = join(folder, 'psk');
    const property = fc.asyncProperty(
      piecesOf(['user', ':', 'deadbeef', '\n', '\r\n', '#', 'f', ' ']),
      async (lines) => {
        writeFileSync(file, lines);
        const outcome = await serverCredentials({ psk: file }).catch((error: unknown) => error);
        if (!(outcome instanceof Error)) return;
        expect(outcome).to.be.instanceOf(TlsError);
        expect(outcome.message).not.to.contain('deadbeef');
      },
    );
    await fc.assert(property, { ...runs, numRuns: 300 });
  });

  it('arguments of every command, and whole numbers among them', async () => {
    const loaded = await Promise.all(Object.values(commands).map((load) => load()));
    const options = loaded.flatMap((command) => Object.keys(command.options).map((name) => `--${name}`));
    const word = fc.oneof(
      fc.constantFrom(...options, '--', '-', '-h', '--quiet', '1e3', '0x10', '-1', '9007199254740993'),
      text,
    );
    const property = fc.property(fc.constantFrom(...loaded), fc.array(word, { maxLength: 6 }), (command, argv) => {
      const invocation = refusedBy([CliError], () => parseInvocation(command, argv));
      if (!invocation) return;
      for (const [name, { type }] of Object.entries(command.options)) {
        if (type !== 'string') continue;
        const value = refusedBy([CliError], () => integerOption(invocation, name, 5, 2, 1000));
        if (value !== undefined) expect(value).to.be.within(2, 1000);
      }
    });
    fc.assert(property, runs);
  });

  it('lists of digests: a name that is written is read again', () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 });
    const property = fc.property(name, text, (file, line) => {
      expect(parseListLine(listLine(file, 'a0'.repeat(32)).slice(0, -1))).to.deep.equal({
        file,
        digest: 'a0'.repeat(32),
      });
      const parsed = parseListLine(line);
      if (parsed) expect(parsed.digest).to.match(/^([0-9a-f]{2})+$/);
    });
    fc.assert(property, runs);
  });

  it('/proc/crypto', () => {
    const pieces = [
      'name',
      'driver',
      'type',
      ' : ',
      '\n',
      '\n\n',
      'skcipher',
      'cbc(aes)',
      'priority',
      '100',
      'internal',
      'yes',
      'blocksize',
    ];
    const property = fc.property(piecesOf(pieces), (list) => {
      const algorithms = parseProcCrypto(list);
      const found = findAlgorithm(algorithms, 'skcipher', 'cbc(aes)');
      if (found) expect(algorithms).to.include(found);
    });
    fc.assert(property, runs);
  });

  it("a kernel's log: a fault is found wherever it is", () => {
    const pieces = ['\n', '\r\n', '[ 1.0] ', '---[ end trace 0 ]---', 'alg: self-tests for x', 'Booting', ' '];
    const property = fc.property(piecesOf(pieces), piecesOf(pieces), (before, after) => {
      const hits = scanKernelLog(`${before}\n[ 2.0] BUG: unable to handle\n${after}`);
      expect(hits).to.include('[ 2.0] BUG: unable to handle');
    });
    fc.assert(property, runs);
  });
});
