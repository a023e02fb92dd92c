import type { LuksHeader } from './header.js';
import { luks1Slots } from './luks1.js';
import { dataSegment, isBound, type Keyslot, type Metadata, slotNumbers, volumeDigest } from './metadata.js';

/** What `cryptsetup luksDump` prints of a header. `name`: the storage, as it was given. */
export function dumpText(header: LuksHeader, name: string): string {
  return header.version === 1 ? luks1Text(header, name) : luks2Text(header);
}

/** The same for programs. It holds salts and digests, which are no secrets, and no key. */
export function dumpJson({ version, uuid, label, subsystem, size, sequence, metadata, damage }: LuksHeader): object {
  const { config, ...rest } = metadata;
  return {
    version,
    uuid,
    ...(version === 2 && { label, subsystem, metadata_size: size, epoch: Number(sequence), config }),
    ...rest,
    damage,
  };
}

function luks1Text({ metadata, areas, uuid }: LuksHeader, name: string): string {
  const segment = dataSegment(metadata)!;
  const digest = volumeDigest(metadata)!;
  const [, cipher, mode] = /^([^-]+)-(.+)$/.exec(segment.encryption!)!;
  const keySize = Math.floor(areas![0]!.size / 4000);
  const salt = base64Rows(digest.salt);
  const lines = [
    `LUKS header information for ${name}`,
    '',
    `Version:       \t1`,
    `Cipher name:   \t${cipher}`,
    `Cipher mode:   \t${mode}`,
    `Hash spec:     \t${digest.hash}`,
    `Payload offset:\t${Number(segment.offset) / 512}`,
    `MK bits:       \t${keySize * 8}`,
    `MK digest:     \t${hex(Buffer.from(digest.digest, 'base64'))}`,
    `MK salt:       \t${salt.join('\n               \t')}`,
    `MK iterations: \t${digest.iterations}`,
    `UUID:          \t${uuid}`,
    '',
  ];
  for (let slot = 0; slot < luks1Slots; slot++) {
    const kdf = metadata.keyslots[slot]?.kdf;
    lines.push(`Key Slot ${slot}: ${kdf ? 'ENABLED' : 'DISABLED'}`);
    if (kdf?.type !== 'pbkdf2') continue;
    lines.push(
      `\tIterations:         \t${kdf.iterations}`,
      `\tSalt:               \t${base64Rows(kdf.salt).join('\n\t                      \t')}`,
      `\tKey material offset:\t${areas![slot]!.offset / 512}`,
      `\tAF stripes:            \t4000`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function luks2Text({ metadata, sequence, size, uuid, label, subsystem }: LuksHeader): string {
  const { config } = metadata;
  const requirements = config.requirements?.mandatory ?? [];
  const lines = [
    'LUKS header information',
    'Version:       \t2',
    `Epoch:         \t${sequence}`,
    `Metadata area: \t${size} [bytes]`,
    `Keyslots area: \t${config.keyslots_size ?? 0} [bytes]`,
    `UUID:          \t${uuid || '(no UUID)'}`,
    `Label:         \t${label || '(no label)'}`,
    `Subsystem:     \t${subsystem || '(no subsystem)'}`,
    `Flags:       \t${config.flags?.length ? config.flags.map((flag) => `${flag} `).join('') : '(no flags)'}`,
    ...(requirements.length ? [`Requirements:\t${requirements.map((name) => `${name} `).join('')}`] : []),
    '',
    ...segmentLines(metadata),
    ...keyslotLines(metadata),
    ...tokenLines(metadata),
    ...digestLines(metadata),
  ];
  return `${lines.join('\n')}\n`;
}

function segmentLines({ segments }: Metadata): string[] {
  const lines = ['Data segments:'];
  for (const [number, segment] of Object.entries(segments)) {
    const { type, offset, size, encryption, sector_size, integrity, flags } = segment;
    lines.push(`  ${number}: ${type}`, `\toffset: ${offset} [bytes]`);
    lines.push(`\tlength: ${size === 'dynamic' ? '(whole device)' : `${size} [bytes]`}`);
    if (encryption !== undefined) lines.push(`\tcipher: ${encryption}`);
    if (sector_size !== undefined) lines.push(`\tsector: ${sector_size} [bytes]`);
    if (integrity) lines.push(`\tintegrity: ${integrity.type}`);
    if (flags?.length) lines.push(`\tflags : ${flags.join(', ')}`);
    lines.push('');
  }
  return lines;
}

const priorities = ['ignored', 'normal', 'preferred'];

function keyslotLines(metadata: Metadata): string[] {
  const lines = ['Keyslots:'];
  for (const slot of slotNumbers(metadata)) {
    const keyslot = metadata.keyslots[slot]!;
    const digests = Object.entries(metadata.digests).filter(([, { keyslots }]) => keyslots.includes(String(slot)));
    lines.push(
      `  ${slot}: ${keyslot.type}${isBound(metadata, slot) ? '' : ' (unbound)'}`,
      `\tKey:        ${keyslot.key_size * 8} bits`,
      `\tPriority:   ${priorities[keyslot.priority ?? 1]}`,
      ...(keyslot.type === 'luks2' ? luks2SlotLines(keyslot) : reencryptLines(keyslot)),
      ...digests.map(([number]) => `\tDigest ID:  ${number}`),
    );
  }
  return lines;
}

function luks2SlotLines({ area, af, kdf }: Keyslot): string[] {
  const costs =
    kdf!.type === 'pbkdf2'
      ? [`\tHash:       ${kdf!.hash}`, `\tIterations: ${kdf!.iterations}`]
      : [`\tTime cost:  ${kdf!.time}`, `\tMemory:     ${kdf!.memory}`, `\tThreads:    ${kdf!.cpus}`];
  return [
    `\tCipher:     ${area.encryption}`,
    `\tCipher key: ${area.key_size! * 8} bits`,
    `\tPBKDF:      ${kdf!.type}`,
    ...costs,
    `\tSalt:       ${base64Rows(kdf!.salt).join('\n\t            ')}`,
    `\tAF stripes: ${af!.stripes}`,
    `\tAF hash:    ${af!.hash}`,
    ...areaLines(area),
  ];
}

function reencryptLines({ mode, direction, area }: Keyslot): string[] {
  const checksum =
    area.type === 'checksum' ? [`\tHash:       ${area.hash}`, `\tHash data:  ${area.sector_size} [bytes]`] : [];
  return [
    `\tMode:       ${mode}`,
    `\tDirection:  ${direction}`,
    `\tResilience: ${area.type}`,
    ...checksum,
    ...areaLines(area),
  ];
}

function areaLines({ offset, size }: Keyslot['area']): string[] {
  return [`\tArea offset:${offset} [bytes]`, `\tArea length:${size} [bytes]`];
}

function tokenLines({ tokens }: Metadata): string[] {
  const each = Object.entries(tokens).flatMap(([number, { type, keyslots, key_description }]) => [
    `  ${number}: ${type}`,
    ...(type === 'luks2-keyring' ? [`\tKey description: ${key_description}`] : []),
    ...keyslots.map((slot) => `\tKeyslot:    ${slot}`),
  ]);
  return ['Tokens:', ...each];
}

function digestLines({ digests }: Metadata): string[] {
  const each = Object.entries(digests).flatMap(([number, { type, hash, iterations, salt, digest }]) => [
    `  ${number}: ${type}`,
    `\tHash:       ${hash}`,
    `\tIterations: ${iterations}`,
    `\tSalt:       ${base64Rows(salt).join('\n\t            ')}`,
    `\tDigest:     ${base64Rows(digest).join('\n\t            ')}`,
  ]);
  return ['Digests:', ...each];
}

/** Sixteen bytes a row, each followed by a blank, as libcryptsetup's crypt_log_hex. */
function base64Rows(base64: string): string[] {
  const bytes = Buffer.from(base64, 'base64');
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) rows.push(hex(bytes.subarray(at, at + 16)));
  return rows;
}

function hex(bytes: Buffer): string {
  return [...bytes].map((byte) => `${byte.toString(16).padStart(2, '0')} `).join('');
}
