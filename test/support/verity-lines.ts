/** Lines on an image of 300 blocks with FEC of two roots, whose files are DATA, HASH and FEC, and whose root hash is ROOT. */
const base = '0 2400 verity 1 DATA HASH 4096 4096 300 1 sha256 ROOT 00ff5a';
const fec = 'use_fec_from_device FEC fec_blocks 304 fec_start 0 fec_roots 2';

export const verityAccepted: string[] = [
  base,
  `${base} 0`,
  `${base} 1 ignore_corruption`,
  `${base} 1 RESTART_ON_CORRUPTION`,
  `${base} 1 ignore_zero_blocks`,
  `${base} 1 check_at_most_once`,
  `${base} 1 try_verify_in_tasklet`,
  `${base} 2 check_at_most_once check_at_most_once`,
  `${base} 4 try_verify_in_tasklet check_at_most_once ignore_zero_blocks panic_on_corruption`,
  `${base} 8 ${fec}`,
  `${base} 9 ignore_corruption ${fec}`,
  `${base} 2 fec_roots 5`,
  `${base} 0 and more`,
  base.replace('0 2400', '0 8'),
  base.replace('0 2400', '0 2392'),
];

/** 6.1 does not know them. */
export const verityAcceptedLater: string[] = [
  `${base} 1 restart_on_error`,
  `${base} 2 panic_on_error restart_on_corruption`,
];

export const verityRefused: { words: string; reason: string }[] = [
  { words: '0 2400 verity', reason: 'Not enough arguments' },
  { words: base.replace(' 00ff5a', ''), reason: 'Not enough arguments' },
  { words: base.replace('verity 1', 'verity 2'), reason: 'Invalid version' },
  { words: base.replace('verity 1', 'verity x'), reason: 'Invalid version' },
  { words: base.replace('DATA', '/dev/nowhere'), reason: 'Data device lookup failed' },
  { words: base.replace('HASH', '/dev/nowhere'), reason: 'Hash device lookup failed' },
  { words: base.replace('HASH 4096', 'HASH 4095'), reason: 'Invalid data device block size' },
  { words: base.replace('HASH 4096', 'HASH 256'), reason: 'Invalid data device block size' },
  { words: base.replace('HASH 4096', 'HASH 8192'), reason: 'Invalid data device block size' },
  { words: base.replace('4096 300', '0 300'), reason: 'Invalid hash device block size' },
  { words: base.replace('4096 300', '4097 300'), reason: 'Invalid hash device block size' },
  { words: base.replace('300 1', '300x 1'), reason: 'Invalid data blocks' },
  { words: base.replace('300 1', '299 1'), reason: 'Data device is too small' },
  { words: base.replace('300 1', '0 1'), reason: 'Data device is too small' },
  { words: base.replace('300 1', '300 y'), reason: 'Invalid hash start' },
  { words: base.replace('300 1', '300 2'), reason: 'Hash device is too small' },
  { words: base.replace('sha256', 'sha257'), reason: 'Cannot initialize hash function' },
  { words: base.replace('ROOT', 'ROOT00'), reason: 'Invalid root digest' },
  { words: base.replace('ROOT', 'xyz'), reason: 'Invalid root digest' },
  { words: base.replace('00ff5a', '00f'), reason: 'Invalid salt' },
  { words: base.replace('00ff5a', 'zz'), reason: 'Invalid salt' },
  { words: `${base} x`, reason: 'Invalid number of feature args' },
  { words: `${base} 16`, reason: 'Invalid number of feature args' },
  { words: `${base} 2 ignore_corruption`, reason: 'Invalid number of feature args' },
  { words: `${base} 1 nothing`, reason: 'Unrecognized verity feature request' },
  { words: `${base} 2 ignore_corruption panic_on_corruption`, reason: 'Conflicting error handling parameters' },
  { words: `${base} 2 ignore_corruption ignore_corruption`, reason: 'Conflicting error handling parameters' },
  { words: `${base} 1 use_fec_from_device`, reason: 'FEC feature arguments require a value' },
  { words: `${base} 2 use_fec_from_device /dev/nowhere`, reason: 'FEC device lookup failed' },
  { words: `${base} 2 use_fec_from_device FEC`, reason: 'Missing fec_roots' },
  { words: `${base} 4 use_fec_from_device FEC fec_roots 2`, reason: 'Missing fec_blocks' },
  { words: `${base} 8 ${fec.replace('304', '303')}`, reason: 'Invalid fec_blocks' },
  { words: `${base} 8 ${fec.replace('304', 'x')}`, reason: 'Invalid fec_blocks' },
  { words: `${base} 8 ${fec.replace('304', '5000')}`, reason: 'Hash device is too small for fec_blocks' },
  { words: `${base} 8 ${fec.replace('start 0', 'start 100')}`, reason: 'FEC device is too small' },
  { words: `${base} 8 ${fec.replace('start 0', 'start x')}`, reason: 'Invalid fec_start' },
  { words: `${base} 8 ${fec.replace('roots 2', 'roots 1')}`, reason: 'Invalid fec_roots' },
  { words: `${base} 8 ${fec.replace('roots 2', 'roots 25')}`, reason: 'Invalid fec_roots' },
];
