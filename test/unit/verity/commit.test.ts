import { expect } from 'chai';
import { type BlockFile, commitFiles } from '../../../lib/verity/block-file.js';

describe('new files of an image', () => {
  it('get their names once all of them are on stable storage', async () => {
    const calls: string[] = [];
    const file = (name: string, isNew = true) => {
      const call = (what: string) => async () => {
        await new Promise((resolve) => setImmediate(resolve));
        calls.push(`${what} ${name}`);
      };
      return { isNew, sync: call('sync'), commit: call('commit') } as unknown as BlockFile;
    };
    await commitFiles(new Set([file('tree'), file('old', false), file('parity')]));
    expect(calls).to.deep.equal(['sync tree', 'sync parity', 'commit tree', 'commit old', 'commit parity']);
  });

  it('do not get them where one cannot be stored', async () => {
    const calls: string[] = [];
    const file = (name: string, sync: () => Promise<void>) =>
      ({ isNew: true, sync, commit: async () => calls.push(name) }) as unknown as BlockFile;
    const failing = async () => {
      throw new Error('no space');
    };
    let message = '';
    await commitFiles(new Set([file('tree', async () => {}), file('parity', failing)])).catch((error: Error) => {
      message = error.message;
    });
    expect([message, calls]).to.deep.equal(['no space', []]);
  });
});
