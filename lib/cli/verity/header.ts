import type { FecHeader } from '../../verity/fec/fec-image.js';
import type { VerityParameters } from '../../verity/parameters.js';

export interface Header extends VerityParameters {
  uuid: string | undefined;
  hashBlocks: number;
  /** Bytes to the end of the tree. */
  hashEnd: number;
  rootHash?: Buffer;
  fec?: FecHeader;
}

/** What veritysetup prints of an image, letter by letter. It says how long the hash area is only where that is the file, and adds the parity that is in it. */
export function headerText(path: string, header: Header, hashOffset: number, fecOffset = 0): string {
  const { rootHash, fec } = header;
  const hashSize = header.hashEnd + (fec?.inHashFile ? fec.blocks * header.hashBlockSize : 0);
  const rows: [string, string | number][] = [
    ['UUID:            ', header.uuid ?? ''],
    ['Hash type:       ', header.hashType],
    ['Data blocks:     ', header.dataBlocks],
    ['Data block size: ', header.dataBlockSize],
    ['Hash blocks:     ', header.hashBlocks],
    ['Hash block size: ', header.hashBlockSize],
    ['Hash algorithm:  ', header.hash],
    ...(fec
      ? ([
          ['FEC RS roots:   ', fec.roots],
          ['FEC blocks:     ', fec.blocks],
        ] as [string, number][])
      : []),
    ['Salt:            ', hex(header.salt) || '-'],
    ...(rootHash ? [['Root hash:      ', hex(rootHash)] as [string, string]] : []),
    ...(hashOffset === 0 ? [['Hash device size: ', `${hashSize} [bytes]`] as [string, string]] : []),
    ...(fec && fecOffset === 0 ? [['FEC device size: ', `${fec.end} [bytes]`] as [string, string]] : []),
  ];
  return [`VERITY header information for ${path}`, ...rows.map(([name, value]) => `${name}\t${value}`), ''].join('\n');
}

/** The same as JSON. */
export function headerJson(header: Header): string {
  const { rootHash, fec, uuid, salt, hashType, hash, dataBlocks, dataBlockSize, hashBlocks, hashBlockSize, hashEnd } =
    header;
  const shown = {
    uuid: uuid ?? null,
    hashType,
    dataBlocks,
    dataBlockSize,
    hashBlocks,
    hashBlockSize,
    hash,
    salt: hex(salt),
    ...(rootHash && { rootHash: hex(rootHash) }),
    hashEnd,
    ...(fec && { fec }),
  };
  return `${JSON.stringify(shown, null, 2)}\n`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
