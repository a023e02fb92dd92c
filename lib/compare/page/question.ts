import type { Report } from '../report.js';

/** What an experiment answers, and who asked. */
interface Question {
  question: string;
  /** The thread's short name in tables and conclusions. */
  document: string;
  /** Author, list, date and subject. */
  asked: string;
  /** The thread in the list's archive, found by its subject. */
  link: string;
}

const archive = (list: string, subject: string) =>
  `https://lore.kernel.org/${list}/?q=${encodeURIComponent(`s:"${subject}"`)}`;

export const questions: Record<Report['experiment'], Question> = {
  iv: {
    question:
      'Requests whose IV is what the one before has left: should they wait behind a mutex before they are built, or in a queue after they are built and mapped?',
    document: 'Cameron 2018',
    asked: 'Jonathan Cameron, Gilad Ben-Yossef and Stephan Müller, linux-crypto, February 2018: AF_ALG AIO and the IV',
    link: archive('linux-crypto', 'crypto: AF_ALG AIO'),
  },
  workqueue: {
    question: "Do dm-crypt's work queues cost more than they give?",
    document: 'Korchagin 2020',
    asked: 'Ignat Korchagin, dm-devel, June 2020: dm crypt: add flags to optionally bypass dm-crypt workqueues',
    link: archive('dm-devel', 'dm crypt: add flags to optionally bypass'),
  },
  units: {
    question:
      'One request for each data unit, a chain of requests, or the whole bio passed down and cut at the bottom? Or node:crypto, unit by unit?',
    document: 'Xu 2025',
    asked: 'Herbert Xu, linux-crypto, March 2025: multiple data units in one request',
    link: archive('linux-crypto', 'Multibuffer hashing'),
  },
  verity: {
    question: "Does hashing a bio's blocks in parallel pay, and what memory does it take?",
    document: 'Chemla 2018',
    asked: 'Yael Chemla, dm-devel, March 2018: md: dm-verity: allow parallel processing of bio blocks',
    link: archive('dm-devel', 'dm-verity: allow parallel processing of bio blocks'),
  },
  mempool: {
    question: 'How much memory does sharing mempools save over 59 devices, and when do stacked devices deadlock?',
    document: 'Patocka 2025',
    asked: 'Mikulas Patocka to LongPing Wei, dm-devel, April 2025: one dm_io_client for all verity devices',
    link: archive('dm-devel', 'dm-verity'),
  },
};
