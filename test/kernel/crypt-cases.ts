/** A volume that the kernel and we open alike. */
export interface Case {
  cipher: string;
  /** Bytes. */
  key: number;
  offset?: bigint;
  options?: string;
  /** libcrypto has not got it. */
  kernelOnly?: boolean;
}

const large = '2 sector_size:4096 iv_large_sectors';
const wrap32 = 0xfffffff0n;
const wrap64 = 0xffff_ffff_ffff_fff0n;

/** A new line is a new test. */
export const cases: Case[] = [
  { cipher: 'aes', key: 16 },
  { cipher: 'aes-ecb', key: 32 },
  { cipher: 'aes-cbc-plain', key: 16, offset: wrap32 },
  { cipher: 'aes-cbc-plain64', key: 24, offset: wrap32 },
  { cipher: 'aes-cbc-plain64', key: 32, offset: wrap64 },
  { cipher: 'aes-cbc-plain64be', key: 32, offset: wrap32 },
  { cipher: 'aes-cbc-null', key: 16 },
  { cipher: 'aes-cbc-benbi', key: 16, offset: wrap32 },
  { cipher: 'aes-ctr-benbi', key: 16, offset: 5n },
  { cipher: 'aes-cbc-benbi', key: 16, options: large, offset: wrap64 },
  { cipher: 'aes-lrw-benbi', key: 32, kernelOnly: true },
  { cipher: 'aes-xts-plain64', key: 32 },
  { cipher: 'aes-xts-plain64', key: 64, offset: wrap32, options: '1 sector_size:1024' },
  { cipher: 'aes-xts-plain64', key: 64, options: '1 sector_size:2048' },
  { cipher: 'aes-xts-plain64', key: 64, offset: wrap64, options: '1 sector_size:4096' },
  { cipher: 'aes-xts-plain64', key: 64, offset: wrap64, options: large },
  { cipher: 'capi:xts(aes)-plain64', key: 64, offset: 8n, options: large },
  { cipher: 'aes-cbc-essiv:sha256', key: 16, offset: wrap32 },
  { cipher: 'aes-cbc-essiv:sha256', key: 32, options: '1 sector_size:4096' },
  { cipher: 'aes-cbc-essiv:md5', key: 32 },
  { cipher: 'aes-xts-essiv:sha256', key: 64 },
  { cipher: 'capi:cbc(aes)-essiv:sha256', key: 32, options: large },
  { cipher: 'capi:essiv(cbc(aes),sha256)-plain64', key: 32, kernelOnly: true },
  { cipher: 'aes:2-cbc-plain64', key: 32, offset: 3n },
  { cipher: 'aes:16-xts-plain64', key: 512, options: '1 sector_size:4096' },
  { cipher: 'aes:8-cbc-essiv:sha256', key: 128, options: '1 sector_size:1024' },
  { cipher: 'aes:64-cbc-plain64', key: 1024, offset: 7n },
  { cipher: 'aes:64-cbc-lmk', key: 64 * 16 },
  { cipher: 'aes:64-cbc-lmk', key: 65 * 16, offset: 0x1234_5678_9abc_def0n },
  { cipher: 'aes:64-cbc-lmk', key: 65 * 32, offset: wrap32 },
  { cipher: 'capi:cbc(aes)-lmk', key: 65 * 16 },
  { cipher: 'aes:1-cbc-lmk', key: 16 },
  { cipher: 'aes-cbc-tcw', key: 16 + 32, offset: wrap32 },
  { cipher: 'aes-cbc-tcw', key: 32 + 32, offset: wrap64 },
  { cipher: 'aes-cbc-eboiv', key: 16, offset: wrap32 },
  { cipher: 'aes-cbc-eboiv', key: 32, options: large, offset: wrap64 },
  { cipher: 'aes-cbc-eboiv', key: 32, options: '1 sector_size:4096' },
  { cipher: 'aes-xts-eboiv', key: 64 },
  { cipher: 'aes:2-cbc-eboiv', key: 64 },
  { cipher: 'aes-cbc-elephant', key: 32 },
  { cipher: 'aes-cbc-elephant', key: 64, options: large, offset: 16n },
  { cipher: 'aes-cbc-elephant', key: 64, options: '1 sector_size:2048', offset: wrap32 },
  { cipher: 'camellia-cbc-plain64', key: 32 },
  { cipher: 'camellia-xts-plain64', key: 64, kernelOnly: true },
  { cipher: 'serpent-cbc-essiv:sha256', key: 32, kernelOnly: true },
  { cipher: 'des3_ede-cbc-plain64', key: 24, offset: wrap32 },
  { cipher: 'des3_ede-cbc-benbi', key: 24 },
  { cipher: 'capi:ecb(cipher_null)-plain64', key: 0 },
];

/** Lines that the kernel refuses; DEV is its device. Each is refused here in the same words. */
export const refused: string[] = [
  'aes-xts-plain64',
  'xts(aes)-plain64 KEY 0 DEV 0',
  'aes:3-cbc-plain64 KEY 0 DEV 0',
  'aes-cbc KEY 0 DEV 0',
  'aes-cbc-essiv KEY 0 DEV 0',
  'aes-cbc-nothing KEY 0 DEV 0',
  'nothing-cbc-plain KEY 0 DEV 0',
  'aes-cbc-essiv:sha1 KEY 0 DEV 0',
  'aes-cbc-essiv:nothing KEY 0 DEV 0',
  'aes-cbc-random KEY 0 DEV 0',
  'aes-cbc-plain64 00 0 DEV 0',
  'aes-cbc-plain64 zz 0 DEV 0',
  'aes-cbc-plain64 - 0 DEV 0',
  'aes-cbc-plain64 :x:user:d 0 DEV 0',
  'aes-cbc-plain64 :32:user 0 DEV 0',
  'aes-cbc-plain64 :32:user:nowhere 0 DEV 0',
  'aes-cbc-tcw 00112233 0 DEV 0',
  'aes:64-cbc-lmk KEY 0 DEV 0 1 sector_size:4096',
  'aes-cbc-tcw KEYKEY 0 DEV 0 1 sector_size:4096',
  'aes-cbc-plain64 KEY 0x DEV 0',
  'aes-cbc-plain64 KEY 4 DEV 0 1 sector_size:4096',
  'aes-cbc-plain64 KEY 0 /dev/nowhere 0',
  'aes-cbc-plain64 KEY 0 DEV 0x',
  'aes-cbc-plain64 KEY 0 DEV 0 x',
  'aes-cbc-plain64 KEY 0 DEV 0 10 a b c d e f g h i j',
  'aes-cbc-plain64 KEY 0 DEV 0 2 allow_discards',
  'aes-cbc-plain64 KEY 0 DEV 0 1 nothing',
  'aes-cbc-plain64 KEY 0 DEV 0 1 sector_size:513',
  'aes-cbc-plain64 KEY 0 DEV 0 1 integrity:0:aead',
  'aes-cbc-plain64 KEY 0 DEV 0 1 integrity:16:other',
  'aes-cbc-random KEY 0 DEV 0 1 integrity:16:none',
];

/** Options whose status lines are compared. */
export const listed: string[] = [
  '',
  '0',
  '1 allow_discards',
  '2 same_cpu_crypt submit_from_crypt_cpus',
  '4 NO_WRITE_WORKQUEUE no_read_workqueue iv_large_sectors sector_size:4096',
  '1 sector_size:512',
];
