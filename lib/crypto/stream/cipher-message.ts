import { checkInteger, checkWord, valueError, wrongSize } from '../../base/bytes.js';
import { EBADF, EBUSY, EINVAL, ENOENT } from '../../base/errno.js';
import { AlgError, algError } from '../error.js';
import { libraryAlgorithm } from '../provider/library.js';
import type { Direction, IvRule } from '../request/iv.js';
import { Tfm, type TfmOptions } from '../request/tfm.js';
import { AeadPass } from './aead-pass.js';
import { BlockPass } from './block-pass.js';
import { type Data, type Key, toBytes, withSecret } from './data.js';
import { KeystreamPass } from './keystream-pass.js';
import { kernelIv } from './nonce.js';
import type { Pass, PassFields } from './pass.js';
import type { Steps } from './steps.js';
import { WholePass } from './whole-pass.js';

export interface CipherOptions extends Pick<TfmOptions, 'provider' | 'engine' | 'keySerial'> {
  /** Bytes of an AEAD's tag. Default: the algorithm's largest, which is 16. */
  authTagLength?: number;
}

export interface MessageOptions extends CipherOptions {
  /** Whether an AEAD's tag follows the ciphertext, as the last bytes of the data, instead of going its own way. */
  tagAttached?: boolean;
}

/**
 * One message on its way through a cipher, whoever drives it (see Steps): the tfm, what of it is streamed and what
 * collected, and what may still be done. It closes its tfm with its end, also by an error.
 */
export class CipherMessage {
  readonly tfm: Tfm;
  readonly #fields: PassFields;
  readonly #rule: IvRule | undefined;
  readonly #tagAttached: boolean;
  #padding = true;
  #pass: Pass | undefined;
  #begun = false;
  #running = false;
  #ended = false;

  /** @throws AlgError, TypeError, RangeError */
  constructor(direction: Direction, name: string, key: Key | null, iv: Data | null, options: MessageOptions = {}) {
    const { tagAttached = false, ...rest } = options;
    this.#tagAttached = tagAttached;
    checkWord('direction', direction, ['encrypt', 'decrypt']);
    this.tfm = withSecret('key', key ?? undefined, (bytes) => openCipher(name, bytes, rest));
    try {
      const fixed = kernelIv(this.tfm, iv === null || iv === undefined ? null : toBytes('iv', iv));
      const request = this.tfm.request();
      request.direction = direction;
      this.#fields = { request, direction, iv: fixed };
      this.#rule = this.tfm.ivRule;
    } catch (error) {
      this.tfm.close();
      throw error;
    }
  }

  /** Bytes of data that wait for final(). */
  collected = 0;

  /** Whether data goes through as it comes; if not, it is collected, by reference, until final(). */
  get streams(): boolean {
    if (this.tfm.type === 'aead') return false;
    return this.#rule !== undefined || this.#fields.iv === null || this.tfm.carriesIv();
  }

  /** Before the first part. @throws AlgError */
  setPadding(on: boolean): void {
    this.#checkNotBegun('setAutoPadding');
    this.#padding = on;
  }

  /** Before the first part; a second one is appended. @throws AlgError */
  addAad(data: Uint8Array): void {
    this.#checkNotBegun('setAAD');
    const aead = this.#aead('setAAD');
    aead.aad = Buffer.concat([aead.aad, data]);
  }

  /** The tag, after final(). @throws AlgError */
  getTag(): Uint8Array {
    const { tag } = this.#aead('getAuthTag');
    if (this.#fields.direction === 'encrypt' && tag) return tag;
    throw this.#refusal('getAuthTag', 'there is a tag only after final(), when encrypting');
  }

  /** The tag to check, before final(). @throws AlgError, RangeError */
  setTag(tag: Uint8Array): void {
    this.#checkOpen('setAuthTag');
    const aead = this.#aead('setAuthTag');
    if (this.#fields.direction === 'encrypt' || aead.tag)
      throw this.#refusal('setAuthTag', 'a tag is set once, and when decrypting');
    const { authSize } = this.tfm;
    if (tag.length !== authSize) throw wrongSize('tag', `${authSize} bytes (authTagLength)`, tag.length);
    aead.tag = Uint8Array.from(tag);
  }

  /** The steps of the next part. An error ends the message. */
  update(data: Uint8Array): Steps {
    if (!this.streams) this.collected += data.length;
    return this.#alone('update', (pass) => pass.update(data));
  }

  /** The steps of the end. */
  final(): Steps {
    return this.#alone('final', (pass) => pass.final());
  }

  /** Resolves when nothing of it is in flight. */
  idle(): Promise<void> {
    return this.#fields.request.idle();
  }

  /** Gives the message up. What is in flight completes first. */
  close(): void {
    this.#ended = true;
    this.tfm.close();
  }

  // A message has one request, so what begins before the steps of another part have ended is refused.
  *#alone(method: 'update' | 'final', steps: (pass: Pass) => Steps): Steps {
    this.#checkOpen(method);
    if (this.#running)
      throw algError(method, this.tfm.name, -EBUSY, 'what was written to the stream before is still on its way');
    this.#running = true;
    this.#begun = true;
    let open = false;
    try {
      const output = yield* steps(this.#chosenPass());
      open = method === 'update';
      return output;
    } finally {
      this.#running = false;
      if (!open) this.close();
    }
  }

  #chosenPass(): Pass {
    this.#pass ??= this.#choosePass();
    return this.#pass;
  }

  #choosePass(): Pass {
    const fields = this.#fields;
    const rule = this.#rule;
    if (this.tfm.type === 'aead') return new AeadPass(fields, this.#tagAttached);
    if (!this.streams) return new WholePass(fields);
    const { blockSize } = this.tfm.info;
    if (rule && (blockSize === 1 || (rule.known('encrypt') && rule.known('decrypt'))))
      return new KeystreamPass(fields, rule);
    if (blockSize === undefined)
      throw algError('read', this.tfm.name, -ENOENT, 'its block size stands in /proc/crypto only; mount /proc');
    // Without a rule it is as long pieces as Tfm.carriesIv has tried.
    const unit = blockSize > 1 && (rule || !fields.iv) ? blockSize : Math.max(64, blockSize);
    const padding = this.#padding && /^(cbc|ecb)\(/.test(this.tfm.info.algorithm);
    return new BlockPass({ ...fields, rule, unit, blockSize, padding });
  }

  #aead(method: string): AeadPass {
    if (this.tfm.type !== 'aead')
      throw this.#refusal(method, 'it is no AEAD, so it has neither associated data nor a tag');
    return this.#chosenPass() as AeadPass;
  }

  #checkNotBegun(method: string): void {
    this.#checkOpen(method);
    if (this.#begun) throw this.#refusal(method, `${method}() comes before the first update()`);
  }
  #refusal(method: string, hint: string): AlgError {
    return algError(method, this.tfm.name, -EINVAL, hint);
  }
  #checkOpen(method: string): void {
    if (this.#ended)
      throw algError(method, this.tfm.name, -EBADF, 'final() was called, or it was closed; make a new one');
  }
}

/** Opens a cipher of either type: its name does not tell which, and the kernel knows by trying only. */
function openCipher(name: string, key: Uint8Array | undefined, options: CipherOptions): Tfm {
  const { authTagLength, ...rest } = options;
  if (authTagLength !== undefined) checkInteger('authTagLength', authTagLength, 1, 64);
  const open = (type: 'aead' | 'skcipher') => {
    const authSize = type === 'aead' && authTagLength !== undefined ? { authSize: authTagLength } : {};
    return new Tfm(type, name, { ...rest, ...(key && { key }), ...authSize });
  };
  const tfm = libraryAlgorithm('aead', name) ? open('aead') : openEither(open);
  if (tfm.type === 'skcipher' && authTagLength !== undefined) {
    tfm.close();
    throw valueError(`authTagLength: expected none for ${name}, which is no AEAD, got ${authTagLength}`);
  }
  return tfm;
}

function openEither(open: (type: 'aead' | 'skcipher') => Tfm): Tfm {
  try {
    return open('skcipher');
  } catch (error) {
    if (!(error instanceof AlgError) || error.code !== 'ENOENT') throw error;
    try {
      return open('aead');
    } catch (second) {
      throw second instanceof AlgError && second.code === 'ENOENT' ? error : second;
    }
  }
}
