import { expect } from 'chai';
import { backUpHeader, backupSize, restoreHeader } from '../../lib/luks/backup.js';
import { convertToLuks1, convertToLuks2 } from '../../lib/luks/convert.js';
import { type HeaderStorage, readHeader } from '../../lib/luks/header.js';
import { addKey, changeKey, killSlot } from '../../lib/luks/manage.js';
import { unlock } from '../../lib/luks/unlock.js';
import { cheap, formatCheaply, MemoryStorage } from '../support/luks.js';

/**
 * A storage that may lose power: what was written since the last flush is there or not, write by write. `states` are the contents that
 * could be found after each moment.
 */
class PowerCut implements HeaderStorage {
  /** What has been flushed. */
  #stored: Buffer;
  #pending: { from: Buffer; position: number }[] = [];
  readonly #now: MemoryStorage;
  readonly states: Buffer[] = [];

  constructor(bytes: Buffer) {
    this.#stored = Buffer.from(bytes);
    this.#now = new MemoryStorage(Buffer.from(bytes));
    this.#look();
  }
  get size(): number {
    return this.#now.size;
  }
  read(into: Uint8Array, position: number): Promise<void> {
    return this.#now.read(into, position);
  }
  async write(from: Uint8Array, position: number): Promise<void> {
    // Half of it first, as a kill or a power cut may leave it.
    const half = Math.ceil(from.length / 1024) * 512;
    await this.#now.write(from.subarray(0, half), position);
    this.#pending.push({ from: Buffer.from(from.subarray(0, half)), position });
    this.#look();
    await this.#now.write(from, position);
    this.#pending.push({ from: Buffer.from(from), position });
    this.#look();
  }
  async flush(): Promise<void> {
    this.#stored = Buffer.from(this.#now.bytes);
    this.#pending = [];
    this.#look();
  }
  describe(): string {
    return 'memory';
  }
  get bytes(): Buffer {
    return this.#now.bytes;
  }

  /** All of the pending writes, none, each alone, and all but each. */
  #look(): void {
    const choices = [
      this.#pending,
      [],
      ...this.#pending.map((each) => [each]),
      ...this.#pending.map((each) => this.#pending.filter((other) => other !== each)),
    ];
    for (const choice of choices) {
      const state = Buffer.from(this.#stored);
      for (const { from, position } of choice) state.set(from, position);
      if (!this.states.some((known) => known.equals(state))) this.states.push(state);
    }
  }
}

async function opens(bytes: Buffer, passphrase: string): Promise<boolean> {
  const storage = new MemoryStorage(bytes);
  try {
    const { key } = await unlock(storage, await readHeader(storage), Buffer.from(passphrase));
    key.fill(0);
    return true;
  } catch {
    return false;
  }
}

describe('LUKS headers and power that is cut at any write', function () {
  this.timeout(300_000);
  const { pbkdf2 } = cheap;

  async function make(type: 'luks1' | 'luks2'): Promise<{ bytes: Buffer; key: Buffer }> {
    const storage = new MemoryStorage(3 << 20);
    const small = type === 'luks2' ? { keyslotsSize: 1 << 20, offset: 2 << 20 } : {};
    const key = await formatCheaply(storage, { type, ...small });
    const header = await readHeader(storage);
    await addKey(storage, header, { key, passphrase: Buffer.from('stays'), pbkdf: pbkdf2 });
    return { bytes: storage.bytes, key };
  }

  /** In each state the passphrase that stays opens, and one of those that were right before or are right afterwards. */
  async function check(states: Buffer[], before: string, after: string): Promise<void> {
    expect(states.length).to.be.above(3);
    for (const [index, state] of states.entries()) {
      expect(await opens(state, 'stays'), `state ${index}: the other slot`).to.equal(true);
      const either = (await opens(state, before)) || (await opens(state, after));
      expect(either, `state ${index}: neither ${before} nor ${after}`).to.equal(true);
    }
    expect(await opens(states.at(-1)!, after), 'at the end').to.equal(true);
  }

  for (const type of ['luks1', 'luks2'] as const) {
    it(`${type}: a key that is added`, async () => {
      const { bytes, key } = await make(type);
      const storage = new PowerCut(bytes);
      await addKey(storage, await readHeader(storage), { key, passphrase: Buffer.from('new'), pbkdf: pbkdf2 });
      await check(storage.states, 'secret', 'new');
      for (const state of storage.states) expect(await opens(state, 'secret')).to.equal(true);
    });

    it(`${type}: a key that is changed`, async () => {
      const { bytes, key } = await make(type);
      const storage = new PowerCut(bytes);
      await changeKey(storage, await readHeader(storage), 0, { key, passphrase: Buffer.from('new'), pbkdf: pbkdf2 });
      await check(storage.states, 'secret', 'new');
      expect(await opens(storage.bytes, 'secret')).to.equal(false);
    });

    it(`${type}: a slot that is killed`, async () => {
      const { bytes } = await make(type);
      const storage = new PowerCut(bytes);
      await killSlot(storage, await readHeader(storage), 0);
      for (const state of storage.states) expect(await opens(state, 'stays')).to.equal(true);
      expect(await opens(storage.bytes, 'secret')).to.equal(false);
    });

    it(`${type}: converted`, async () => {
      const { bytes } = await make(type);
      const storage = new PowerCut(bytes);
      if (type === 'luks1') await convertToLuks2(storage, await readHeader(storage));
      else {
        const header = await readHeader(storage);
        header.metadata.segments['0']!.sector_size = 512;
        await convertToLuks1(storage, header);
      }
      await check(storage.states, 'secret', 'secret');
    });

    it(`${type}: restored from a backup`, async () => {
      const { bytes, key } = await make(type);
      const old = new MemoryStorage(Buffer.from(bytes));
      const header = await readHeader(old);
      const backup = new MemoryStorage(backupSize(header));
      await backUpHeader(old, header, backup);
      await changeKey(old, header, 0, { key, passphrase: Buffer.from('new'), pbkdf: pbkdf2 });
      const storage = new PowerCut(old.bytes);
      await restoreHeader(storage, backup);
      expect(await opens(storage.bytes, 'secret')).to.equal(true);
      // What is written over key slots may be half of either: the backup is there to be written again.
      const first = storage.states.findIndex((state) => !state.subarray(0, 4096).equals(old.bytes.subarray(0, 4096)));
      for (const state of storage.states.slice(first)) expect(await opens(state, 'stays')).to.equal(true);
    });
  }
});
