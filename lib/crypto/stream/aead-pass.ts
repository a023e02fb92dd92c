import { noBytes, wrongSize } from '../../base/bytes.js';
import { EINVAL } from '../../base/errno.js';
import { algError } from '../error.js';
import { longestText } from './nonce.js';
import type { PassFields } from './pass.js';
import type { Steps } from './steps.js';
import { WholePass } from './whole-pass.js';

/** An authenticated cipher: associated data beside the message, and a tag that is made or checked at its end. */
export class AeadPass extends WholePass {
  readonly #fields: PassFields;
  readonly #authSize: number;
  readonly #tagAttached: boolean;
  /** Authenticated and not encrypted. */
  aad: Uint8Array = noBytes;
  /** Decryption: to be set before final(). Encryption: there after it. Unless it is attached to the ciphertext. */
  tag: Uint8Array | undefined;

  constructor(fields: PassFields, tagAttached: boolean) {
    super(fields);
    this.#fields = fields;
    this.#authSize = fields.request.tfm.authSize;
    this.#tagAttached = tagAttached;
  }

  override *final(): Steps {
    const { request, direction, iv } = this.#fields;
    const encrypt = direction === 'encrypt';
    const src = this.joined([this.aad], encrypt || this.#tagAttached ? [] : [this.#givenTag()]);
    const { name } = request.tfm;
    const text = src.length - this.aad.length - (encrypt ? 0 : this.#authSize);
    if (text < 0)
      throw wrongSize('data', `at least the ${this.#authSize} bytes of the tag for ${name}`, text + this.#authSize);
    request.iv = iv;
    request.assocLength = this.aad.length;
    request.src = src;
    request.dst = Buffer.allocUnsafe(this.aad.length + text + (encrypt ? this.#authSize : 0));
    yield request;
    const output = request.dst.subarray(this.aad.length);
    if (!encrypt || this.#tagAttached) return output;
    this.tag = Uint8Array.from(output.subarray(text));
    return output.subarray(0, text);
  }

  protected override checkLength(length: number): void {
    const { direction, request, iv } = this.#fields;
    const tagInData = direction === 'decrypt' && this.#tagAttached ? this.#authSize : 0;
    super.checkLength(length, this.aad.length + this.#authSize - tagInData);
    const most = longestText(request.tfm, iv) + tagInData;
    if (length > most)
      throw wrongSize('data', `at most ${most} bytes for ${request.tfm.name} with a nonce this long`, length);
  }

  #givenTag(): Uint8Array {
    if (this.tag) return this.tag;
    const { name } = this.#fields.request.tfm;
    throw algError('final', name, -EINVAL, 'the tag to check is missing: setAuthTag() before final()');
  }
}
