import { availableParallelism } from 'node:os';
import { type Engine, holdingsOf, openAio, openLanes, SyncEngine } from '../../../crypto/engine/engine.js';
import { chooseEngine } from '../../../crypto/engine/engine-choice.js';
import { AlgError } from '../../../crypto/error.js';
import type { ProviderName } from '../../../crypto/provider/provider.js';
import { CryptError } from '../../../crypto/sector/error.js';
import type { Bio } from '../../bio.js';
import type { TargetHoldings } from '../../holdings.js';
import { Backlog } from '../../memory/backlog.js';
import type { CryptoOptions } from '../../target.js';
import type { CryptFeatures } from './features.js';
import { SortedQueue } from './sorted-queue.js';

const depth = 64;
/** What WQ_HIGHPRI runs at. */
const highest = -20;

export interface KcryptdOptions {
  features: CryptFeatures;
  /** The cipher's name and provider: whether its driver is asynchronous decides about AIO. */
  cipher: string;
  provider: ProviderName;
  engine: CryptoOptions['engine'];
  /** Reads of up to so many bytes are no work for lanes. */
  inlineBytes: number;
  /** Where encrypted writes go. */
  submit: (bio: Bio) => void;
}

/**
 * The queues of one crypt device: where its conversions run, and when its writes go below. Source: drivers/md/dm-crypt.c:kcryptd_queue_crypt,
 * kcryptd_crypt_write_io_submit, crypt_ctr.
 *
 * - By default conversions run on lanes of the device's own, one a processor; with `same_cpu_crypt` it is one lane; with `high_priority`
 *   the lanes are as little nice as can be, and a warning says so where that is not permitted.
 * - `no_read_workqueue`, `no_write_workqueue`: on the submitter's thread instead.
 * - A driver that is asynchronous by itself has no lanes: requests go to it from the submitter's thread by AIO. So does the engine `aio`, and
 *   `sync` leaves no queue at all.
 * - Writes that are encrypted wait for the end of the loop's turn, and go below in the order of their sectors; not with `no_write_workqueue`,
 *   and with `submit_from_crypt_cpus` only where the cipher was asynchronous.
 */
export class Kcryptd {
  /** Run the conversions of reads and of writes. */
  readonly reads: Engine;
  readonly writes: Engine;
  readonly #features: CryptFeatures;
  readonly #submit: (bio: Bio) => void;
  readonly #sorted: SortedQueue<Bio>;
  readonly #queue: Engine;
  readonly #own: Engine | undefined;
  readonly #inline = new SyncEngine();
  readonly #inlineBytes: number;

  private constructor({ features, submit, inlineBytes }: KcryptdOptions, queue: Engine, own: boolean) {
    const inline = this.#inline;
    const lanes = queue.name === 'lanes';
    this.reads = lanes && features.noReadWorkqueue ? inline : queue;
    this.writes = lanes && features.noWriteWorkqueue ? inline : queue;
    this.#inlineBytes = lanes ? inlineBytes : 0;
    this.#queue = queue;
    this.#own = own ? queue : undefined;
    this.#features = features;
    this.#submit = submit;
    this.#sorted = new SortedQueue(submit);
  }

  /** @throws CryptError, AlgError where the engine asked for is not to be had */
  static async open(options: KcryptdOptions): Promise<Kcryptd> {
    const { engine = 'auto', cipher, provider, features } = options;
    if (typeof engine !== 'string') return new Kcryptd(options, engine, false);
    const name = engine === 'auto' ? (await chooseEngine('skcipher', cipher, provider)).name : engine;
    if (name === 'aio' && provider === 'library')
      throw new CryptError('Error allocating crypto tfm', 'cipher', 'libcrypto has no AIO; use the engine lanes');
    if (name === 'sync') return new Kcryptd(options, new SyncEngine(), false);
    return new Kcryptd(options, new Backlog(name === 'aio' ? openAio(depth) : openKcryptdLanes(features)), true);
  }

  /** Runs the conversion of a read of so many bytes. */
  readsOf(bytes: number): Engine {
    return bytes <= this.#inlineBytes ? this.#inline : this.reads;
  }

  /** An encrypted write goes below. `asynchronous`: the cipher's driver was, and called back. */
  submitWrite(bio: Bio, asynchronous: boolean): void {
    const { noWriteWorkqueue, submitFromCryptCpus } = this.#features;
    // Lanes are the threads that encrypt: what they have done was not asynchronous in itself.
    const deferred = asynchronous && this.writes.name !== 'lanes';
    if (noWriteWorkqueue || (submitFromCryptCpus && !deferred)) this.#submit(bio);
    else this.#sorted.add(bio.sector, bio);
  }

  /** Of the queue, also where the options keep reads or writes out of it. */
  holdings(): Pick<TargetHoldings, 'engine' | 'sortedWrites'> {
    const engine = { ...holdingsOf(this.#queue), shared: this.#own === undefined };
    return { engine, sortedWrites: this.#sorted.size };
  }

  /** Nothing is in flight any more. */
  close(): void {
    this.#own?.close();
  }
}

function openKcryptdLanes({ sameCpuCrypt, highPriority }: CryptFeatures): Engine {
  const lanes = sameCpuCrypt ? 1 : availableParallelism();
  if (!highPriority) return openLanes(lanes, depth);
  try {
    return openLanes(lanes, depth, highest);
  } catch (error) {
    if (!(error instanceof AlgError) || !['EACCES', 'EPERM'].includes(error.code)) throw error;
    process.emitWarning('high_priority: not permitted without CAP_SYS_NICE; the lanes run at the usual priority', {
      code: 'DMALG_HIGH_PRIORITY',
    });
    return openLanes(lanes, depth);
  }
}
