import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { LuksError } from '../../lib/luks/error.js';
import { readHeader, writeHeader } from '../../lib/luks/header.js';
import type { Metadata } from '../../lib/luks/metadata.js';
import { unlock } from '../../lib/luks/unlock.js';
import { validateMetadata } from '../../lib/luks/validate.js';
import { cheap, formatCheaply, MemoryStorage } from '../support/luks.js';
import { generator } from '../support/veritysetup.js';

/** Both checksums anew, so that what was changed is looked at. */
function seal(bytes: Buffer, size = 16384): void {
  for (const at of [0, size]) {
    const copy = bytes.subarray(at, at + size);
    copy.fill(0, 448, 512);
    createHash('sha256').update(copy).digest().copy(copy, 448);
  }
}

function withJson(bytes: Buffer, change: (metadata: Metadata) => unknown, size = 16384): Buffer {
  const changed = Buffer.from(bytes);
  for (const at of [0, size]) {
    const area = changed.subarray(at + 4096, at + size);
    const metadata = JSON.parse(area.subarray(0, area.indexOf(0)).toString());
    const result = change(metadata) ?? metadata;
    area.fill(0);
    area.write(typeof result === 'string' ? result : JSON.stringify(result));
  }
  seal(changed, size);
  return changed;
}

async function outcome(bytes: Buffer): Promise<string> {
  const storage = new MemoryStorage(bytes);
  try {
    const header = await readHeader(storage);
    const { key } = await unlock(storage, header, Buffer.from('secret'));
    key.fill(0);
    return header.damage.length ? 'opens, damaged' : 'opens';
  } catch (error) {
    expect(error, (error as Error).stack).to.be.instanceOf(LuksError);
    return (error as LuksError).message;
  }
}

describe('hostile LUKS headers', function () {
  this.timeout(300_000);
  let two: Buffer;
  let one: Buffer;
  before(async () => {
    const storage = new MemoryStorage(17 << 20);
    await formatCheaply(storage, {}, cheap.argon2id);
    two = storage.bytes.subarray(0, 1 << 20);
    const old = new MemoryStorage(3 << 20);
    await formatCheaply(old, { type: 'luks1' });
    one = old.bytes;
  });

  /** Sets a field, whose path has dots. */
  function put(path: string, value: unknown): (metadata: Metadata) => void {
    return (metadata) => {
      const names = path.split('.');
      const last = names.pop()!;
      // biome-ignore lint/suspicious/noExplicitAny: any field of any object
      names.reduce((node: any, name) => node[name], metadata)[last] = value;
    };
  }

  /** A change of LUKS2's metadata, and what is said of it. Kinds of libcryptsetup's generators of broken headers. */
  const changes: [name: string, (m: Metadata) => unknown, RegExp][] = [
    ['no JSON', () => '{"keyslots":', /its metadata is no JSON/],
    ['an array', () => '[]', /metadata is no object/],
    ['keyslots missing', ({ keyslots: _, ...m }) => m, /keyslots is no object/],
    ['segments an array', (m) => ({ ...m, segments: [] }), /segments is no object/],
    ['a keyslot of no number', (m) => ({ ...m, keyslots: { x: m.keyslots[0] } }), /keyslots\."x" is no number/],
    ['keyslot 32', (m) => ({ ...m, keyslots: { 32: m.keyslots[0] } }), /is no number below 32/],
    ['__proto__ as a keyslot', () => '{"keyslots":{"__proto__":{}}}', /is no number/],
    ['an area over the header', put('keyslots.0.area.offset', '0'), /overlaps the header/],
    ['an area beyond its room', put('keyslots.0.area.offset', '16777216'), /beyond 16777216/],
    ['an area at an odd place', put('keyslots.0.area.offset', '32769'), /no multiple of 4096/],
    ['an area of 2^63', put('keyslots.0.area.size', '9223372036854775808'), /below 2\^53/],
    ['an area of -1', put('keyslots.0.area.offset', '-1'), /no string of digits/],
    ['an area too short', put('keyslots.0.area.size', '4096'), /is below 256000/],
    ['two areas that overlap', (m) => void Object.assign(m.keyslots, { 1: m.keyslots[0] }), /overlaps keyslot/],
    ['a huge key', put('keyslots.0.key_size', 2 ** 31), /key_size is not a number from 1 to 512/],
    ['stripes', put('keyslots.0.af.stripes', 2 ** 31), /stripes is not a number from 4000 to 4000/],
    ['a salt of no base64', put('keyslots.0.kdf.salt', '*'), /salt is no base64/],
    ['an unknown kdf', put('keyslots.0.kdf.type', 'scrypt'), /none of pbkdf2/],
    ['an unknown hash', put('keyslots.0.af.hash', 'whirlwind'), /hash whirlwind/],
    ['Argon2 of 4 TiB', (m) => void Object.assign(m.keyslots[0]!.kdf!, { memory: 2 ** 32 - 1 }), /memory cost in KiB/],
    ['Argon2 for a year', (m) => void Object.assign(m.keyslots[0]!.kdf!, { time: 2 ** 32 - 1 }), /time cost/],
    [
      'Argon2 with 2^32 threads',
      (m) => void Object.assign(m.keyslots[0]!.kdf!, { cpus: 2 ** 32 - 1 }),
      /parallel cost/,
    ],
    ['a digest of an unknown slot', (m) => void m.digests['0']!.keyslots.push('7'), /names keyslot 7/],
    ['a digest of an unknown segment', (m) => void m.digests['0']!.segments.push('7'), /names segment 7/],
    ['a token of an unknown slot', put('tokens.0', { type: 'x', keyslots: ['9'] }), /names keyslot 9/],
    ['a segment of size 0', put('segments.0.size', '0'), /size is 0/],
    [
      'a segment between',
      (m) => void Object.assign(m.segments, { 1: m.segments['0'] }),
      /is dynamic, and it is not the last/,
    ],
    ['segment 1 alone', (m) => ({ ...m, segments: { 1: m.segments['0'] } }), /names segment 0|stands where segment 0/],
    ['sectors of 513', put('segments.0.sector_size', 513), /sector_size is not 512/],
    ['an odd offset', put('segments.0.offset', '16777217'), /no multiple of 512/],
    ['json_size', put('config.json_size', '12289'), /json_size is not 12288/],
    ['keyslots_size', put('config.keyslots_size', '137438953472'), /is above/],
    ['requirement', put('config.requirements', { mandatory: ['teleport'] }), /requires "teleport"/],
    ['re-encryption', put('config.requirements', { mandatory: ['online-reencrypt-v2'] }), /re-encryption has begun/],
    ['no digest', (m) => ({ ...m, digests: {} }), /no key slot is in use/],
    ['a cipher that nobody has', put('keyslots.0.area.encryption', 'nope-xts-plain64'), /./],
    ['a cipher of no form', put('keyslots.0.area.encryption', '((('), /./],
    ['text with control characters', put('segments.0.encryption', 'aes\n-xts'), /encryption is no text/],
  ];
  for (const [name, change, message] of changes)
    it(`LUKS2: ${name}`, async () => {
      let said: string;
      try {
        said = await outcome(withJson(two, change));
      } catch (error) {
        // Names of ciphers are refused by the conversion, in dm-crypt's words.
        expect(name).to.match(/cipher/);
        said = String((error as { actual?: Error }).actual ?? error);
      }
      expect(said).to.match(message);
    });

  it('fields that are not known stay when the header is written', async () => {
    const storage = new MemoryStorage(
      withJson(two, (m) => ({ ...m, extra: [1], tokens: { 3: { type: 'mine', keyslots: [], secret: 'x' } } })),
    );
    await writeHeader(storage, await readHeader(storage));
    const { metadata } = await readHeader(storage);
    expect(metadata).to.deep.include({ extra: [1] });
    expect(metadata.tokens['3']).to.deep.equal({ type: 'mine', keyslots: [], secret: 'x' });
  });

  it('either copy alone opens; the newer one is taken; what is wrong is told', async () => {
    for (const at of [0, 16384]) {
      for (const [from, to] of [
        [at, at + 16384],
        [at, at + 8],
        [at + 8, at + 16],
        [at + 300, at + 301],
        [at + 4096, at + 4097],
        [at + 16383, at + 16384],
      ] as const) {
        const bytes = Buffer.from(two);
        for (let i = from; i < to; i++) bytes[i]! ^= 0xff;
        expect(await outcome(bytes), `${from}`).to.equal('opens, damaged');
      }
    }
    const storage = new MemoryStorage(Buffer.from(two));
    const header = await readHeader(storage);
    header.label = 'newer';
    await writeHeader(storage, header);
    two.copy(storage.bytes, 0, 0, 16384); // the first copy is the old one
    const newest = await readHeader(storage);
    expect(newest.label).to.equal('newer');
    expect(newest.damage).to.deep.equal(['LUKS2 header: the first copy is older (sequence 1, not 2)']);
    storage.bytes.fill(0, 0, 8192);
    storage.bytes.fill(0, 16384, 20000);
    expect((await readHeader(storage).catch((error) => error)).code).to.match(/ENODEV|EINVAL/);
  });

  it('headers cut at any place: an error, or it opens from what is left', async () => {
    for (const [bytes, step] of [
      [two, 4099],
      [one, 65537],
    ] as const)
      for (let end = 0; end < bytes.length; end += step) {
        const said = await outcome(Buffer.from(bytes.subarray(0, end)));
        expect(said).to.be.a('string');
      }
    expect(await outcome(Buffer.alloc(0))).to.match(/no LUKS header/);
  });

  it('seeded changes of bytes and of numbers: an error, or it opens', async () => {
    const random = generator(11);
    for (let run = 0; run < 400; run++) {
      const bytes = Buffer.from(run % 2 ? one : two).subarray(0, 400_000);
      const range = run % 2 ? 592 : 512;
      for (let change = random() % 4; change >= 0; change--) {
        const at = random() % range;
        // Iterations are not made long: they are limits' matter.
        if (run % 2 && ((at >> 2) << 2 === 164 || (at >= 208 && (at - 208) % 48 < 8 && (at - 208) % 48 >= 4))) continue;
        bytes[at] = random();
      }
      if (run % 4 === 0) seal(bytes);
      try {
        await outcome(bytes);
      } catch (error) {
        const { actual } = error as { actual?: Error };
        expect(actual?.name).to.equal('CryptError');
      }
    }
  });

  it('fast-check: any JSON is validated or refused, and what is valid stays so', () => {
    const json = fc.json({ maxDepth: 4 });
    fc.assert(
      fc.property(json, fc.string(), (text, key) => {
        const value = JSON.parse(text);
        for (const each of [value, { keyslots: value }, { keyslots: { 0: value } }, { [key]: value, config: value }])
          try {
            validateMetadata(each, 16384);
          } catch (error) {
            expect(error).to.be.instanceOf(LuksError);
          }
      }),
      { numRuns: 2000, seed: 5 },
    );
    const good = JSON.parse(two.subarray(4096, two.indexOf(0, 4096)).toString());
    const paths = (value: unknown, path: string[] = []): string[][] =>
      typeof value === 'object' && value !== null
        ? [path, ...Object.entries(value).flatMap(([name, each]) => paths(each, [...path, name]))]
        : [path];
    const places = paths(good).filter((path) => path.length > 0);
    fc.assert(
      fc.property(fc.nat(places.length - 1), fc.jsonValue({ maxDepth: 2 }), (index, value) => {
        const changed = structuredClone(good);
        const path = places[index]!;
        const parent = path.slice(0, -1).reduce((node, name) => node[name], changed);
        parent[path.at(-1)!] = value;
        try {
          expect(validateMetadata(changed, 16384)).to.be.an('object');
        } catch (error) {
          expect(error).to.be.instanceOf(LuksError);
        }
      }),
      { numRuns: 5000, seed: 6 },
    );
  });
});
