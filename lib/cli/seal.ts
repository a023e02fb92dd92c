import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Direction } from '../crypto/request/iv.js';
import { Cipher } from '../crypto/stream/cipher.js';
import type { SealOptions } from '../crypto/stream/one-shot.js';
import { encrypt as seal, decrypt as unseal } from '../crypto/stream/promises.js';
import { algName, algOptions, keyOption, keyOptions, runOptions } from './alg-options.js';
import { CliError, type Command, type Invocation } from './command.js';
import { Exit } from './exit.js';
import { hexOption, integerOption } from './option-values.js';
import { writeOutput } from './output.js';
import { Progress } from './progress.js';

async function run(direction: Direction, invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  const [input = '-', output = '-', ...more] = positionals;
  if (more.length) throw new CliError(`expected IN and OUT, got ${positionals.length} files`);
  const name = algName(invocation, direction);
  const authSize =
    values['auth-size'] === undefined ? {} : { authTagLength: integerOption(invocation, 'auth-size', 16) };
  const options = { ...runOptions(invocation), ...authSize };
  const secret = keyOption(invocation);
  try {
    const iv = hexOption(invocation, 'iv') ?? null;
    const aad = hexOption(invocation, 'aad');
    const autoPadding = values['no-padding'] !== true;
    await convert(
      direction,
      name,
      { ...options, ...secret, iv, autoPadding, ...(aad && { aad }) },
      { input, output, quiet: values.quiet === true },
    );
  } finally {
    secret.key?.fill(0);
  }
  return Exit.done;
}

/** What a file holds; it is opened when somebody reads, who then hears of an error, too. */
async function* contentOf(path: string): AsyncGenerator<Buffer, void> {
  yield* createReadStream(path);
}

/** @throws CliError naming the option that is missing */
function openCipher(direction: Direction, name: string, key: Uint8Array | null, iv: Uint8Array | null, rest: object) {
  try {
    return new Cipher(direction, name, key, iv, rest);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    if (!key && /key/.test(error.message))
      throw new CliError(`${direction}: --key or --key-file is missing: ${error.message}`);
    if (!iv && /\biv\b/i.test(error.message)) throw new CliError(`${direction}: --iv is missing: ${error.message}`);
    throw error;
  }
}

async function convert(
  direction: Direction,
  name: string,
  options: SealOptions,
  { input, output, quiet }: { input: string; output: string; quiet: boolean },
): Promise<void> {
  const { key = null, iv = null, aad, autoPadding = true, ...rest } = options;
  const cipher = openCipher(direction, name, key as Uint8Array | null, iv as Uint8Array | null, rest);
  const size = input === '-' ? undefined : (await stat(input)).size;
  const progress = new Progress(size, quiet);
  const source = progress.count(input === '-' ? process.stdin : contentOf(input));
  try {
    if (cipher.maxRequest() === Number.MAX_SAFE_INTEGER && !aad) {
      cipher.setAutoPadding(autoPadding);
      await writeOutput(output, source, cipher);
    } else await writeOutput(output, [await (direction === 'encrypt' ? seal : unseal)(name, options, source)]);
  } finally {
    cipher.destroy();
    progress.end();
  }
}

function command(direction: Direction, summary: string): Command {
  return {
    name: direction,
    usage: "--name 'ALG' (--key HEX | --key-file FILE) [--iv HEX] [options] [IN [OUT]]",
    summary,
    example:
      "head -c 16 /dev/urandom > key && echo hello > plain && dmalg encrypt --name 'ctr(aes)' --key-file key --iv 00000000000000000000000000000001 plain sealed" +
      (direction === 'decrypt'
        ? " && dmalg decrypt --name 'ctr(aes)' --key-file key --iv 00000000000000000000000000000001 sealed"
        : ''),
    details: [
      'IN and OUT are files; -, which is also the default, is stdin and stdout. OUT appears when it is complete.',
      'cbc and ecb pad as PKCS#7 says, like openssl enc. An authenticated cipher (gcm(aes), ccm(aes),',
      'rfc7539(chacha20,poly1305)) has its tag as the last bytes of the encrypted file: ciphertext, then --auth-size bytes of tag. These and',
      'xts take a file whole in one request, and refuse one that is longer.',
    ].join('\n'),
    options: {
      ...algOptions,
      ...keyOptions,
      iv: { type: 'string', value: 'HEX', help: 'the initialisation vector, or nonce' },
      aad: { type: 'string', value: 'HEX', help: 'associated data of an authenticated cipher' },
      'auth-size': { type: 'string', value: 'BYTES', help: "bytes of an authenticated cipher's tag (default: 16)" },
      'no-padding': { type: 'boolean', help: 'no padding; the length must then be a multiple of the block' },
    },
    run: (invocation) => run(direction, invocation),
  };
}

export const encrypt = command('encrypt', 'Encrypts a file or stdin.');
export const decrypt = command('decrypt', 'Decrypts a file or stdin; exit status 2 when it is not authentic.');
