import type { Report } from '../report.js';

/** What an experiment answers, and who asked. */
export const questions: Record<Report['experiment'], { question: string; document: string; asked: string }> = {
  iv: {
    question:
      'Requests whose IV is what the one before has left: should they wait behind a mutex before they are built, or in a queue after they are built and mapped?',
    document: 'document 4',
    asked: 'linux-crypto, 2018: AF_ALG, AIO and inline IVs',
  },
  workqueue: {
    question: "Do dm-crypt's work queues cost more than they give?",
    document: 'document 2',
    asked: 'dm-devel, 2020: flags to bypass the work queues of dm-crypt',
  },
  units: {
    question:
      'One request for each data unit, a chain of requests, or the whole bio passed down and cut at the bottom? Or the library directly?',
    document: 'document 3',
    asked: 'linux-crypto, 2025: bulk units in the crypto API',
  },
  verity: {
    question: "Does hashing a bio's blocks in parallel pay, and what memory does it take?",
    document: 'document 1',
    asked: 'dm-devel, 2018: parallel processing of bio blocks in dm-verity',
  },
  mempool: {
    question: 'How much memory does sharing mempools save over 59 devices, and when do stacked devices deadlock?',
    document: 'document 5',
    asked: 'dm-devel, 2025: shared mempools of dm-verity',
  },
};
